//! The forwarder over real sockets of this machine, with a resolver that says what a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode};
use hickory_resolver::proto::rr::{RData, Record, rdata::A};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::resolve::Target;
use crate::serve::{Forward, Limits};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// No answer within this time counts as none: what is awaited is a refusal that was decided when the connection was taken.
const LIMITS: Limits =
    Limits { connections: 8, silence: Duration::from_secs(60), linger: Duration::from_secs(60) };

/// A resolver that answers every question with these addresses, and counts the questions.
struct Names {
    address: SocketAddr,
    answers: Arc<Mutex<Vec<Ipv4Addr>>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    async fn start(answers: &[[u8; 4]]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let answers: Vec<Ipv4Addr> = answers.iter().map(|octets| Ipv4Addr::from(*octets)).collect();
        let (answers, asked) = (Arc::new(Mutex::new(answers)), Arc::<AtomicUsize>::default());
        let (told, counted) = (Arc::clone(&answers), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut datagram = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
                let question = Message::from_vec(&datagram[..length]).unwrap();
                let mut reply = Message::response(question.metadata.id, OpCode::Query);
                counted.fetch_add(1, Ordering::SeqCst);
                for query in question.queries {
                    for address in told.lock().unwrap().iter() {
                        // As engines say it, however soon an instance goes.
                        let data = RData::A(A(*address));
                        reply.add_answer(Record::from_rdata(query.name().clone(), 600, data));
                    }
                    reply.add_query(query);
                }
                socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
            }
        });
        Self { address, answers, asked }
    }
}

struct Running {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// A forwarder from `from` to the port of the target within `within`.
async fn forward(names: &Names, from: &str, within: &str, port: u16, limits: Limits) -> Running {
    let name = "api.production.internal.skep-bank".to_owned();
    let target = Target::new(names.address, name, within.parse().unwrap(), port).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    let forward = Forward::new(from.parse().unwrap(), target, limits);
    let task = tokio::spawn(forward.serve(listener, async move {
        let _ = ended.await;
    }));
    Running { address, end: Some(end), task }
}

/// A process that says its word, sends everything back, and then says it once more after the other side is done.
async fn process(address: &str, word: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(word.as_bytes()).await.unwrap();
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.write_all(word.as_bytes()).await.unwrap();
            });
        }
    });
    address
}

/// All that is heard on a connection until its end.
async fn heard(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is not carried may be reset.
    let _ = timeout(LONG, stream.read_to_end(&mut text)).await.unwrap();
    String::from_utf8(text).unwrap()
}

async fn exchange(address: SocketAddr, said: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(said.as_bytes()).await;
    let _ = stream.shutdown().await;
    heard(&mut stream).await
}

#[tokio::test]
async fn what_either_side_says_reaches_the_other_also_after_one_of_them_is_done() {
    let at = process("127.0.0.2:0", "<bank>").await;
    let names = Names::start(&[[127, 0, 0, 2]]).await;
    let running = forward(&names, "127.0.0.0/8", "127.0.0.2/32", at.port(), LIMITS).await;
    assert_eq!(exchange(running.address, "hello").await, "<bank>hello<bank>");
    let long = "0123456789".repeat(200_000);
    assert_eq!(exchange(running.address, &long).await, format!("<bank>{long}<bank>"));
}

#[tokio::test]
async fn where_the_target_is_is_asked_anew_for_each_connection() {
    let first = process("127.0.0.2:0", "<first>").await;
    process(&format!("127.0.0.3:{}", first.port()), "<second>").await;
    let names = Names::start(&[[127, 0, 0, 2]]).await;
    let running = forward(&names, "127.0.0.0/8", "127.0.0.0/8", first.port(), LIMITS).await;
    assert_eq!(exchange(running.address, "").await, "<first><first>");
    *names.answers.lock().unwrap() = vec![[127, 0, 0, 3].into()];
    assert_eq!(exchange(running.address, "").await, "<second><second>");
    assert_eq!(names.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_instance_that_does_not_answer_is_passed_over() {
    let at = process("127.0.0.3:0", "<bank>").await;
    let names = Names::start(&[[127, 0, 0, 2], [127, 0, 0, 3]]).await;
    let running = forward(&names, "127.0.0.0/8", "127.0.0.0/8", at.port(), LIMITS).await;
    assert_eq!(exchange(running.address, "x").await, "<bank>x<bank>");
}

#[tokio::test]
async fn nothing_is_carried_out_of_the_targets_network_whatever_its_name_says() {
    let at = process("127.0.0.2:0", "<another>").await;
    let names = Names::start(&[[127, 0, 0, 2]]).await;
    let running = forward(&names, "127.0.0.0/8", "127.0.1.0/24", at.port(), LIMITS).await;
    assert_eq!(exchange(running.address, "x").await, "");
    // Of several addresses only those within count.
    *names.answers.lock().unwrap() = vec![[127, 0, 0, 2].into(), [127, 0, 1, 9].into()];
    process(&format!("127.0.1.9:{}", at.port()), "<bank>").await;
    assert_eq!(exchange(running.address, "x").await, "<bank>x<bank>");
    names.answers.lock().unwrap().clear();
    assert_eq!(exchange(running.address, "x").await, "");
}

#[tokio::test]
async fn nothing_is_carried_for_whoever_is_not_on_the_network_that_it_is_for() {
    let at = process("127.0.0.2:0", "<bank>").await;
    let names = Names::start(&[[127, 0, 0, 2]]).await;
    let running = forward(&names, "10.0.0.0/8", "127.0.0.0/8", at.port(), LIMITS).await;
    assert_eq!(exchange(running.address, "x").await, "");
    assert_eq!(names.asked.load(Ordering::SeqCst), 0, "nothing is asked for a stranger");
}

#[tokio::test]
async fn connections_beyond_the_cap_are_closed_and_do_not_wait() {
    let at = process("127.0.0.2:0", "<bank>").await;
    let names = Names::start(&[[127, 0, 0, 2]]).await;
    let limits = Limits { connections: 1, ..LIMITS };
    let running = forward(&names, "127.0.0.0/8", "127.0.0.0/8", at.port(), limits).await;
    let mut open = TcpStream::connect(running.address).await.unwrap();
    let mut word = [0; 6];
    timeout(LONG, open.read_exact(&mut word)).await.unwrap().unwrap();
    assert_eq!(exchange(running.address, "x").await, "");
    open.shutdown().await.unwrap();
    assert_eq!(heard(&mut open).await, "<bank>");
    // Its place is free as soon as it has ended on both sides.
    timeout(LONG, async { while exchange(running.address, "x").await.is_empty() {} }).await.unwrap();
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_said_is_closed() {
    let at = process("127.0.0.2:0", "<bank>").await;
    let names = Names::start(&[[127, 0, 0, 2]]).await;
    let limits = Limits { silence: Duration::from_millis(300), ..LIMITS };
    let running = forward(&names, "127.0.0.0/8", "127.0.0.0/8", at.port(), limits).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(heard(&mut silent).await, "<bank>");
}

#[tokio::test]
async fn at_the_end_no_connection_is_taken_and_those_under_way_go_on_for_a_while() {
    let at = process("127.0.0.2:0", "<bank>").await;
    let names = Names::start(&[[127, 0, 0, 2]]).await;
    let mut running = forward(&names, "127.0.0.0/8", "127.0.0.0/8", at.port(), LIMITS).await;
    let mut open = TcpStream::connect(running.address).await.unwrap();
    let mut word = [0; 6];
    timeout(LONG, open.read_exact(&mut word)).await.unwrap().unwrap();
    running.end.take().unwrap().send(()).unwrap();
    timeout(LONG, async { while TcpStream::connect(running.address).await.is_ok() {} }).await.unwrap();
    open.write_all(b"still").await.unwrap();
    open.shutdown().await.unwrap();
    assert_eq!(heard(&mut open).await, "still<bank>");
    timeout(LONG, running.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_does_not_end_is_ended() {
    let at = process("127.0.0.2:0", "<bank>").await;
    let names = Names::start(&[[127, 0, 0, 2]]).await;
    let limits = Limits { linger: Duration::from_millis(100), ..LIMITS };
    let mut running = forward(&names, "127.0.0.0/8", "127.0.0.0/8", at.port(), limits).await;
    let mut open = TcpStream::connect(running.address).await.unwrap();
    let mut word = [0; 6];
    timeout(LONG, open.read_exact(&mut word)).await.unwrap().unwrap();
    running.end.take().unwrap().send(()).unwrap();
    timeout(LONG, running.task).await.unwrap().unwrap();
    assert_eq!(heard(&mut open).await, "");
}

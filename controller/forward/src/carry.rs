//! Carrying one connection: what either side sends goes to the other until both have ended, or nothing was sent for too long.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

/// What is read at once, in each direction: all that a connection takes of memory besides the kernel's.
const BUFFER: usize = 8 * 1024;

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides said that they are done.
    Closed,
    /// Nothing went either way for too long.
    Silent,
    /// One side broke it off.
    Broken,
}

/// Carries until the end. A side that is done may still be sent to.
pub(crate) async fn carry(mut user: TcpStream, mut target: TcpStream, silence: Duration) -> End {
    let heard = Mutex::new(Instant::now());
    let (user_read, user_write) = user.split();
    let (target_read, target_write) = target.split();
    let both = async {
        tokio::try_join!(one_way(user_read, target_write, &heard), one_way(target_read, user_write, &heard))
    };
    tokio::select! {
        ended = both => if ended.is_ok() { End::Closed } else { End::Broken },
        () = silent(&heard, silence) => End::Silent,
    }
}

async fn one_way(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, heard: &Mutex<Instant>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        note(heard);
        let Some(some) = buffer.get(..length).filter(|some| !some.is_empty()) else {
            return to.shutdown().await;
        };
        to.write_all(some).await?;
        note(heard);
    }
}

fn note(heard: &Mutex<Instant>) {
    // Whoever holds it cannot panic.
    if let Ok(mut heard) = heard.lock() {
        *heard = Instant::now();
    }
}

/// Ends when nothing was heard for that long.
async fn silent(heard: &Mutex<Instant>, silence: Duration) {
    loop {
        let last = heard.lock().map_or_else(|_| Instant::now(), |heard| *heard);
        let until = last + silence;
        if Instant::now() >= until {
            return;
        }
        tokio::time::sleep_until(until).await;
    }
}

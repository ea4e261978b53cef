//! Every log line of a run says which key and which pass it belongs to.

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::support::{Rig, fails, options, pass_time};
use skep_runtime::{Disposition, Priority};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn every_line_of_a_run_carries_its_key_and_its_reconcile_id() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _subscribed = tracing::subscriber::set_default(subscriber);
    let ids = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&ids);
    let rig = Rig::start(options(2), move |_, _, pass| {
        seen.lock().unwrap().insert(pass.id().to_string());
        async {
            tracing::info!("from inside the run");
            pass_time(0.01).await;
            fails(Disposition::Retry)
        }
    });
    rig.wake("tulip", Priority::Change);
    pass_time(1.0).await;

    let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    let ids = ids.lock().unwrap();
    assert!(ids.len() >= 2);
    for part in ["from inside the run", "the run failed and will be repeated", "run ended"] {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(part)).collect();
        assert_eq!(lines.len(), ids.len(), "{part} in\n{text}");
        for line in lines {
            assert!(line.contains("key=tulip"), "{line}");
            assert!(line.contains("trigger="), "{line}");
            assert!(ids.iter().any(|id| line.contains(&format!("reconcile_id={id}"))), "{line}");
        }
    }
}

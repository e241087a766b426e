//! What the operating system tells a running node.

use std::io;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// End: `SIGTERM`, or `SIGINT` from a terminal.
    Stop,
    /// Read the configuration again: `SIGHUP`.
    Reload,
}

/// Told one after the other, in the order of their coming; from now on none of these signals ends the process.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Told>> {
    let (tell, told) = mpsc::channel(1);
    let signals = [
        (SignalKind::terminate(), Told::Stop),
        (SignalKind::interrupt(), Told::Stop),
        (SignalKind::hangup(), Told::Reload),
    ];
    for (kind, what) in signals {
        let (mut signals, tell) = (signal(kind)?, tell.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if tell.send(what).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(told)
}

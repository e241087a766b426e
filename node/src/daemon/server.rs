//! Takes connections, and has the command of each done.

use super::{
    protocol::{Answer, Ask, BadFrame, Hello, Request, codec, decode, encode},
    work::Work,
};
use crate::cli::Exit;
use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use std::{
    io::{self, ErrorKind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tandem_actors::Node;
use tokio::{
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    task::{AbortHandle, spawn_blocking},
    time::{error::Elapsed, sleep, timeout},
};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// Clients at a time; one more is turned away, and tries again.
const CONNECTIONS_MAX: usize = 64;

/// Commands at a time, each on a thread; the next ones wait. Most of that time they wait for the disk or for a pager.
pub(super) const COMMANDS_MAX: u32 = 16;

/// A client says at once what it wants.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);

/// Answers that wait for a client: 4 MiB at most, so that most commands end however slowly their output is read.
const ANSWERS_MAX: usize = 64;

/// A client that takes nothing for so long is given up: a person at a pager may read for a while.
const TAKEN_WITHIN: Duration = Duration::from_secs(600);

/// How long accepting rests after it failed, mostly for want of file handles.
const REST: Duration = Duration::from_millis(100);

/// What its connections share.
pub(super) struct Server {
    /// Taken away when no command may begin any more.
    node: Mutex<Option<Arc<Node>>>,
    commands: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    is_stopping: Arc<AtomicBool>,
}

impl Server {
    /// Begins to take connections.
    pub fn start(node: Node, listener: UnixListener) -> (Arc<Self>, AbortHandle) {
        let server = Arc::new(Self {
            node: Mutex::new(Some(Arc::new(node))),
            commands: Arc::new(Semaphore::new(COMMANDS_MAX as usize)),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            is_stopping: Arc::default(),
        });
        let accepting = tokio::spawn(accept(server.clone(), listener)).abort_handle();
        (server, accepting)
    }

    /// Lets no more commands begin, waits for those that run, and asks them to end when that takes too long. Gives
    /// the node back, unless one holds on to it even then.
    pub async fn stop(&self, patience: Duration, grace: Duration) -> Option<Node> {
        let node = self.node.lock().expect("held for a moment only").take()?;
        if timeout(patience, self.idle()).await.is_err() {
            tracing::warn!("commands still run; they are asked to end");
            self.is_stopping.store(true, Ordering::Relaxed);
            let _ = timeout(grace, self.idle()).await;
        }
        Arc::into_inner(node)
    }

    /// Until no command runs.
    async fn idle(&self) {
        let all = self.commands.acquire_many(COMMANDS_MAX).await;
        drop(all.expect("never closed"));
    }

    fn node(&self) -> Option<Arc<Node>> {
        self.node.lock().expect("held for a moment only").clone()
    }
}

async fn accept(server: Arc<Server>, listener: UnixListener) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(REST).await;
                continue;
            }
        };
        // Dropped here, it is closed, which the client takes for a node that is about to answer.
        let Ok(place) = server.connections.clone().try_acquire_owned() else {
            tracing::warn!("{CONNECTIONS_MAX} clients are connected; one more was turned away");
            continue;
        };
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = talk(&server, stream).await {
                tracing::debug!(%error, "a connection of the control socket was ended");
            }
            drop(place);
        });
    }
}

/// Why a connection is ended before its command is.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the client is another user")]
    Stranger,
    #[error("the client is of another version: {0}")]
    OtherVersion(String),
    #[error("the client said something that it should not: {0}")]
    Breach(#[from] BadFrame),
    #[error("the client took too long")]
    Late(#[from] Elapsed),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A connection from its beginning to its end.
async fn talk(server: &Server, stream: UnixStream) -> Result<(), Ended> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        return Err(Ended::Stranger);
    }
    let (from, to) = stream.into_split();
    let (mut from, mut to) = (FramedRead::new(from, codec()), FramedWrite::new(to, codec()));
    let request = timeout(REQUEST_WITHIN, greet(&mut from, &mut to)).await??;

    let (answers, said) = mpsc::channel(ANSWERS_MAX);
    let (pieces, input) = mpsc::channel(1);
    let is_gone = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write(said, to));
    let reading = tokio::spawn(read(from, pieces, is_gone.clone(), writing.abort_handle()));

    let permit = server.commands.acquire().await.expect("never closed");
    if !is_gone.load(Ordering::Relaxed) {
        let last = match server.node() {
            Some(node) => {
                let stop = [is_gone, server.is_stopping.clone()];
                done(Work { node, request, answers: answers.clone(), input, stop }, &answers).await
            }
            None => Answer::NotBegun,
        };
        let _ = answers.send(last).await;
    }
    drop(answers);
    let written = writing.await;
    drop(permit);
    reading.abort();
    match written {
        Ok(written) => written,
        // By `read`, at the end of the connection.
        Err(_aborted) => Err(io::Error::from(ErrorKind::ConnectionAborted).into()),
    }
}

/// Who both are, and what is wanted.
async fn greet(from: &mut Source, to: &mut Sink) -> Result<Request, Ended> {
    let theirs: Hello = hear(from).await?;
    to.send(encode(&Hello::ours())?).await?;
    if !theirs.is_of_our_version() {
        return Err(Ended::OtherVersion(theirs.version));
    }
    match hear(from).await? {
        Ask::Run(request) if request.is_bounded() => Ok(request),
        Ask::Run(_) => Err(BadFrame::TooLong.into()),
        Ask::Input(_) => Err(BadFrame::Garbage.into()),
    }
}

/// Has a command done.
async fn done(work: Work, answers: &mpsc::Sender<Answer>) -> Answer {
    match spawn_blocking(|| work.run()).await {
        Ok(exit) => Answer::Done(exit),
        Err(panic) => {
            tracing::error!(%panic, "a command met a fault of this program");
            let text = b"tandem: the node met a fault of its own doing this; its log says more\n";
            let _ = answers.send(Answer::Err(text.to_vec())).await;
            Answer::Done(Exit::Failure)
        }
    }
}

/// Says what there is to say, until the last answer or until the client takes no more.
async fn write(mut said: mpsc::Receiver<Answer>, mut to: Sink) -> Result<(), Ended> {
    while let Some(answer) = said.recv().await {
        timeout(TAKEN_WITHIN, to.send(encode(&answer)?)).await??;
    }
    Ok(())
}

/// Passes pieces of input on. When the client is gone, or says what it should not, nobody is answered any more.
async fn read(mut from: Source, pieces: mpsc::Sender<Vec<u8>>, is_gone: Arc<AtomicBool>, writing: AbortHandle) {
    while let Ok(Ask::Input(piece)) = hear(&mut from).await {
        if pieces.try_send(piece).is_err() {
            break;
        }
    }
    is_gone.store(true, Ordering::Relaxed);
    writing.abort();
}

async fn hear<T: DeserializeOwned>(from: &mut Source) -> Result<T, Ended> {
    let frame = from.next().await.ok_or(io::Error::from(ErrorKind::UnexpectedEof))??;
    Ok(decode(&frame)?)
}

type Source = FramedRead<OwnedReadHalf, LengthDelimitedCodec>;
type Sink = FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>;

//! Commands through the node that runs: the client's side of the control socket.
//!
//! Where a node runs in the data folder, it is asked; where none does, the folder is opened. A socket that nobody
//! listens on was left behind, and counts as none. While a node starts or ends, the folder is locked and there is no
//! socket yet, or no more: then both are tried again for a short time.

use super::{CliError, Console, Exit};
use crate::daemon::{
    protocol::{Answer, Ask, BadFrame, Hello, PIECE_BYTES_MAX, Request, codec, decode, encode},
    socket,
};
use bytes::BytesMut;
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use std::{
    ffi::{OsStr, OsString},
    io::{self, ErrorKind, Read, Write},
    os::unix::{ffi::OsStrExt, net::UnixStream},
    path::Path,
    thread,
    time::Duration,
};
use tandem_actors::{Node, NodeError};
use tandem_storage::EngineError;
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

/// How often a folder is tried that is locked, and by no node that answers.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A node that runs says who it is at once, even while all its commands are busy.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// What stands in for a data folder.
pub(crate) enum Reached {
    /// It is open here.
    Open(Box<Node>),
    /// A node that runs has it open.
    Running(Running),
}

/// Connects to the node that runs in a data folder, or opens it.
pub(crate) fn reach(dir: &Path, open: impl Fn() -> Result<Node, CliError>) -> Result<Reached, CliError> {
    let mut tries = 1..TRIES;
    loop {
        if let Some(running) = Running::find(dir)? {
            return Ok(Reached::Running(running));
        }
        match open() {
            Err(CliError::Node(NodeError::Engine(EngineError::Locked { .. }))) if tries.next().is_some() => pause(),
            opened => return opened.map(|node| Reached::Open(Box::new(node))),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for, and nothing else is done here meanwhile")]
fn pause() {
    thread::sleep(BETWEEN_TRIES);
}

/// A node that runs, and has said hello.
pub(crate) struct Running {
    stream: UnixStream,
    codec: LengthDelimitedCodec,
    received: BytesMut,
    process: u32,
}

impl Running {
    /// The one in this folder; none where nobody listens, or where nobody new is listened to.
    fn find(dir: &Path) -> Result<Option<Self>, CliError> {
        let Ok(stream) = socket::connect(dir) else { return Ok(None) };
        let mut running = Self { stream, codec: codec(), received: BytesMut::new(), process: 0 };
        match running.greet() {
            Ok(theirs) if theirs.is_of_our_version() => Ok(Some(Self { process: theirs.process, ..running })),
            Ok(theirs) => Err(CliError::OtherVersion { theirs: theirs.version, process: theirs.process }),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(CliError::Silent),
            Err(_) => Ok(None),
        }
    }

    fn greet(&mut self) -> io::Result<Hello> {
        self.stream.set_read_timeout(Some(HELLO_WITHIN))?;
        self.stream.set_write_timeout(Some(HELLO_WITHIN))?;
        self.say(&Hello::ours())?;
        let theirs = self.hear()?;
        // From here on it may take as long as it takes.
        self.stream.set_read_timeout(None)?;
        self.stream.set_write_timeout(None)?;
        Ok(theirs)
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Has it do a command, and prints what comes of it. None where it is being stopped, and did not begin.
    pub fn run(mut self, words: &[OsString], dir: &Path, console: &mut Console) -> Result<Option<Exit>, CliError> {
        let folder = std::env::current_dir().map_err(|error| CliError::File { path: ".".into(), error })?;
        let bytes = |text: &OsStr| ByteBuf::from(text.as_bytes());
        let request = Request {
            words: words.iter().map(|word| bytes(word)).collect(),
            folder: bytes(folder.as_os_str()),
            data_dir: bytes(dir.as_os_str()),
            screen: console.screen,
            bar_width: console.bars.width(),
            user: console.user.clone(),
        };
        if !request.is_bounded() || encode(&request).is_err() {
            let text = "the command line is too long for the node that runs; say it in several, or stop the node first";
            return Err(CliError::Usage(text.into()));
        }
        self.say(&Ask::Run(request)).map_err(lost)?;
        loop {
            match self.hear().map_err(lost)? {
                Answer::Out(piece) => {
                    console.out.write_all(&piece).map_err(CliError::Output)?;
                    console.flush()?;
                }
                // As everywhere: what cannot be said there cannot be said.
                Answer::Err(piece) => drop(console.err.write_all(&piece)),
                Answer::MoreInput => {
                    let piece = Ask::Input(piece(&mut console.input).map_err(CliError::Input)?);
                    self.say(&piece).map_err(lost)?;
                }
                Answer::Done(exit) => return Ok(Some(exit)),
                Answer::NotBegun => return Ok(None),
            }
        }
    }

    fn say(&mut self, what: &impl Serialize) -> io::Result<()> {
        let mut frame = BytesMut::new();
        self.codec.encode(encode(what).map_err(io::Error::other)?, &mut frame)?;
        self.stream.write_all(&frame)
    }

    fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut piece = vec![0; PIECE_BYTES_MAX];
        loop {
            if let Some(frame) = self.codec.decode(&mut self.received)? {
                return decode(&frame).map_err(|error: BadFrame| io::Error::new(ErrorKind::InvalidData, error));
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.received.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// However a connection ends from the other side, it is because that process has.
fn lost(error: io::Error) -> CliError {
    CliError::Lost(match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            io::Error::other("it has stopped")
        }
        _other => error,
    })
}

/// What there is of standard input by now; nothing at its end.
fn piece(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE_BYTES_MAX];
    loop {
        match input.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(length) => {
                piece.truncate(length);
                return Ok(piece);
            }
        }
    }
}

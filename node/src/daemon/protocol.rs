//! What is said on the control socket, byte for byte.
//!
//! ```text
//! client                                    node
//! Hello                              ─▶
//!                                    ◀─     Hello
//! Ask::Run                           ─▶
//!                                    ◀─     Answer::Out, Answer::Err …
//!                                    ◀─     Answer::MoreInput        where the command reads standard input
//! Ask::Input (empty at its end)      ─▶
//!                                    ◀─     Answer::Done, the last; or NotBegun, alone
//! ```
//!
//! Each is a frame: its length as four bytes, most significant first, then postcard. The form of [`Hello`] never
//! changes, so that programs of different versions can tell that they are. All others may: they are said between equal
//! versions only.

use crate::{cli::Exit, show::Screen};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use tokio_util::codec::LengthDelimitedCodec;

/// Raised whenever [`Ask`] or [`Answer`] changes.
pub(crate) const PROTOCOL: u16 = 1;

/// A longer frame ends the connection. A command line that fits the operating system's own limit nearly always fits.
pub(crate) const FRAME_BYTES_MAX: usize = 1 << 20;

/// Input and output in one frame.
pub(crate) const PIECE_BYTES_MAX: usize = 64 << 10;

/// Words of a command line; each takes memory beyond its bytes.
const WORDS_MAX: usize = 16_384;

/// The first frame of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u16,
    /// The program's version.
    pub version: String,
    /// The number of the process.
    pub process: u32,
}

/// What a client says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Do this; once, and first.
    Run(Request),
    /// A piece of standard input, empty at its end; once for each [`Answer::MoreInput`].
    Input(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// A command, and what its [`Console`](crate::cli::Console) is made of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The command line, from the program's name on.
    pub words: Vec<ByteBuf>,
    /// The folder that the client runs in.
    pub folder: ByteBuf,
    /// The data folder, as the client names it.
    pub data_dir: ByteBuf,
    /// What standard output can show.
    pub screen: Screen,
    /// Columns of the terminal that bars are drawn on; none where standard error is no terminal.
    pub bar_width: Option<u16>,
    /// What the person is called.
    pub user: Option<String>,
}

/// What a node says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// For standard output.
    Out(#[serde(with = "serde_bytes")] Vec<u8>),
    /// For standard error.
    Err(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The command waits for a piece of standard input.
    MoreInput,
    /// The command has ended.
    Done(Exit),
    /// The node is being stopped, and does not begin it. The last answer, and the only one.
    NotBegun,
}

/// A frame that cannot be said, or means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFrame {
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("it is longer than 1 MiB")]
    TooLong,
    /// Not one of ours.
    #[error("it means nothing")]
    Garbage,
}

impl Hello {
    /// Of this process.
    pub fn ours() -> Self {
        Self { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").into(), process: std::process::id() }
    }

    /// Whether the one who says it can be talked with.
    pub fn is_of_our_version(&self) -> bool {
        let ours = Self::ours();
        (self.protocol, &self.version) == (ours.protocol, &ours.version)
    }
}

impl Request {
    /// Whether it keeps to the limits.
    pub fn is_bounded(&self) -> bool {
        self.words.len() <= WORDS_MAX
    }
}

/// Cuts a stream of bytes into frames, and marks frames.
pub(crate) fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(FRAME_BYTES_MAX).new_codec()
}

/// The content of a frame.
pub(crate) fn encode(said: &impl Serialize) -> Result<Bytes, BadFrame> {
    let bytes = postcard::to_allocvec(said).expect("plain values");
    if bytes.len() > FRAME_BYTES_MAX { Err(BadFrame::TooLong) } else { Ok(bytes.into()) }
}

/// What a frame's content says.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadFrame> {
    match postcard::take_from_bytes(bytes) {
        Ok((said, [])) => Ok(said),
        Ok(_) | Err(_) => Err(BadFrame::Garbage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{BufMut, BytesMut};
    use tokio_util::codec::{Decoder, Encoder};

    fn request(words: &[&str]) -> Request {
        Request {
            words: words.iter().map(|word| ByteBuf::from(word.as_bytes())).collect(),
            folder: ByteBuf::from(*b"/x"),
            data_dir: ByteBuf::from(*b"d"),
            screen: Screen { width: Some(80), color: true },
            bar_width: None,
            user: Some("Ada".into()),
        }
    }

    #[test]
    fn the_bytes_of_this_protocol() {
        #[track_caller]
        fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(said: T, expect: &[u8]) {
            let bytes = encode(&said).unwrap();
            assert_eq!(bytes.as_ref(), expect, "{said:?}: raise PROTOCOL with it, unless this is the form of Hello");
            assert_eq!(decode::<T>(&bytes), Ok(said));
        }
        check(Hello { protocol: 1, version: "0.1.0".into(), process: 300 }, b"\x01\x050.1.0\xac\x02");
        check(Ask::Run(request(&["tandem", "ls"])), b"\0\x02\x06tandem\x02ls\x02/x\x01d\x01\x50\x01\0\x01\x03Ada");
        check(Ask::Input(b"a,b".to_vec()), b"\x01\x03a,b");
        check(Answer::Out(b"hi".to_vec()), b"\0\x02hi");
        check(Answer::Err(vec![]), b"\x01\0");
        check(Answer::MoreInput, b"\x02");
        check(Answer::Done(Exit::Success), b"\x03\0");
        check(Answer::Done(Exit::Partial), b"\x03\x05");
        check(Answer::NotBegun, b"\x04");
    }

    #[test]
    fn frames_are_bounded_on_both_sides() {
        let said = |length: usize| encode(&Ask::Input(vec![0; length]));
        assert!(said(PIECE_BYTES_MAX).is_ok());
        assert_eq!(said(FRAME_BYTES_MAX), Err(BadFrame::TooLong));
        let mut out = BytesMut::new();
        codec().encode(encode(&Answer::MoreInput).unwrap(), &mut out).unwrap();
        assert_eq!(out.as_ref(), b"\0\0\0\x01\x02");
        let mut long = BytesMut::new();
        long.put_u32(FRAME_BYTES_MAX as u32 + 1);
        assert!(codec().decode(&mut long).is_err(), "refused by its length alone");
        assert!(request(&["tandem"; WORDS_MAX]).is_bounded());
        assert!(!request(&["tandem"; WORDS_MAX + 1]).is_bounded());
    }

    #[test]
    fn what_means_nothing_is_told() {
        let check = |bytes: &[u8]| assert_eq!(decode::<Ask>(bytes), Err(BadFrame::Garbage), "{bytes:?}");
        check(b"");
        check(b"\x02");
        check(b"\x01\x03a,");
        check(b"\x01\x03a,bc");
        // A length that promises more than any memory holds.
        check(b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        check(b"\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        check(b"GET / HTTP/1.1\r\n\r\n");
    }

    #[test]
    fn other_versions_are_told_apart() {
        let ours = Hello::ours();
        assert!(ours.is_of_our_version());
        assert!(Hello { process: 1, ..ours.clone() }.is_of_our_version());
        assert!(!Hello { protocol: PROTOCOL + 1, ..ours.clone() }.is_of_our_version());
        assert!(!Hello { version: "9.9.9".into(), ..ours }.is_of_our_version());
    }
}

//! Frames of a byte stream: 4 bytes of length, the greatest first, then a message.

use tandem_wire::limits::{FRAME_BYTES_MAX, OPENING_BYTES_MAX};
use tokio_util::{
    bytes::BytesMut,
    codec::{Decoder, LengthDelimitedCodec},
};

/// Bytes before each frame.
const LENGTH_BYTES: usize = 4;

/// Takes frames off a stream. Until [`Frames::open`] they may only be short.
pub struct Frames {
    codec: LengthDelimitedCodec,
    bytes: BytesMut,
}

/// A frame is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame is longer than it may be")]
pub struct TooLong;

impl Frames {
    /// Of a stream whose sender has shown nothing yet.
    pub fn new() -> Self {
        Self { codec: codec(OPENING_BYTES_MAX), bytes: BytesMut::new() }
    }

    /// The sender has shown to be a member.
    pub fn open(&mut self) {
        self.codec = codec(FRAME_BYTES_MAX);
    }

    /// These bytes came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame that is there whole. After an error the stream is of no use.
    pub fn take(&mut self) -> Result<Option<BytesMut>, TooLong> {
        self.codec.decode(&mut self.bytes).map_err(|_| TooLong)
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes of a frame with this message.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LENGTH_BYTES + message.len());
    bytes.extend_from_slice(&u32::try_from(message.len()).expect("messages are short").to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

fn codec(bytes_max: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().length_field_length(LENGTH_BYTES).max_frame_length(bytes_max).new_codec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_however_the_bytes_come() {
        let sent: Vec<Vec<u8>> = vec![vec![], vec![1], vec![2; 300]];
        let stream: Vec<u8> = sent.iter().flat_map(|message| framed(message)).collect();
        for step in [1, 3, 7, stream.len()] {
            let (mut frames, mut got) = (Frames::new(), Vec::new());
            for bytes in stream.chunks(step) {
                frames.push(bytes);
                while let Some(frame) = frames.take().unwrap() {
                    got.push(frame.to_vec());
                }
            }
            assert_eq!(got, sent);
        }
    }

    #[test]
    fn long_frames_are_for_members() {
        let check = |open: bool, len: usize, is_taken: bool| {
            let mut frames = Frames::new();
            if open {
                frames.open();
            }
            // The length alone is enough to refuse it.
            frames.push(&framed(&vec![0; len])[..4]);
            assert_eq!(frames.take(), if is_taken { Ok(None) } else { Err(TooLong) }, "{open} {len}");
        };
        check(false, OPENING_BYTES_MAX, true);
        check(false, OPENING_BYTES_MAX + 1, false);
        check(true, FRAME_BYTES_MAX, true);
        check(true, FRAME_BYTES_MAX + 1, false);
    }
}

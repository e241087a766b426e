//! What must hold for any bytes that are to be read: they are what is written again, or refused.
//!
//! Never here: inputs, files, or a promise that `docs/format.md` does not make.

use tandem_wire::{
    BadRun, Run, SecretKey, Value,
    design::FieldType,
    envelope::{self, Kind},
};

/// [`Run::decode`] accepts what [`Run::encode`] writes and nothing else, as a whole and as an envelope's content.
pub fn run(bytes: &[u8]) {
    check_run(bytes.to_vec());
    check_run(envelope::seal(Kind::RUN, bytes));
}

fn check_run(mut bytes: Vec<u8>) {
    if let Ok(run) = Run::decode(&bytes) {
        assert_eq!(run.encode(), bytes);
    }
    // A fuzzer cannot sign; with the samples' key, what reads well is signed for it.
    let key = SecretKey::from_bytes(&[7; 32]);
    let Ok(run) = Run::decode_trusted(&bytes) else { return };
    let last = run.events().last().expect("a run has events");
    if last.header().chain.device != key.device() {
        return;
    }
    let signature = key.sign_run(last.id());
    let start = bytes.len() - signature.len();
    bytes[start..].copy_from_slice(&signature);
    match (Run::decode(&bytes), Run::sign(run.into_events(), &key)) {
        (Ok(read), Ok(signed)) => {
            assert_eq!(read, signed);
            assert_eq!(signed.encode(), bytes);
        }
        (Err(BadRun::NotCanonical), Ok(signed)) => {
            assert_ne!(signed.encode(), bytes);
            assert_eq!(Run::decode(&signed.encode()).as_ref(), Ok(&signed));
        }
        (read, signed) => panic!("read as {read:?}, signed as {signed:?}"),
    }
}

/// [`Value::decode`] accepts what [`Value::encode`] writes and nothing else.
pub fn value(bytes: &[u8]) {
    let Ok(value) = Value::decode(bytes) else { return };
    assert_eq!(value.encode(), bytes);
    if let Some(field_type) = FieldType::from_value(&value) {
        assert_eq!(field_type.to_value(), value);
    }
}

/// [`envelope::open`] accepts what [`envelope::seal`] writes and nothing else.
pub fn envelope(bytes: &[u8]) {
    if let Ok((kind, content)) = envelope::open(bytes) {
        assert_eq!(envelope::seal(kind, content), bytes);
    }
}

//! What crosses a boundary in Tandem: ids, values, events, runs and their signatures, the codec, and limits.
//!
//! Two types to know: [`Event`], the atom of change (rule R1 of the design: header and payload, named by their
//! hash), and [`Run`], consecutive events of one chain under one signature, which is what is stored and sent.
//!
//! Everything here is either well formed or does not exist: constructors and decoders check, and the rest of
//! the code need not. Decoding never panics, allocates no more than the input justifies, and accepts only the
//! canonical form, so that stored bytes can be forwarded unchanged and mean the same everywhere.
//!
//! Never here: state, files, sockets, clocks, randomness, or any judgement that depends on other events.

mod body;
mod bounded;
mod chain;
pub mod design;
pub mod envelope;
mod event;
mod hash;
mod id;
mod key;
pub mod limits;
pub mod message;
mod op;
mod op_form;
mod put;
mod run;
mod value;
mod version;

pub use body::{AdmitText, Blame, Bodies, GenesisText, Payload, RefusalText, RuleName, RulesText};
pub use chain::{ChainId, EventRef, OpRef};
pub use event::{Event, Header, Malformed};
pub use id::*;
pub use key::{SecretKey, Signature};
pub use op::*;
pub use run::{BadRun, Run};
pub use value::{BadValue, Decimal, Value};
pub use version::{ChainEnd, TableDigest, VersionTable};

//! The node that runs until it is stopped, and the control socket through which commands are done with it.
//!
//! [`serve`] is the whole: it opens the node, listens, and closes. [`server`] takes connections, [`work`] does one
//! command on a thread of its own, with the code of [`cli`](crate::cli) and with what the client sent as its console.
//! [`protocol`] has the bytes. The client's side is in `cli/remote.rs`.
//!
//! Who may connect is whoever may read the data folder anyway: its owner, and root. Still nothing that is said on the
//! socket can do more than end its own connection. Frames, words, connections and commands at once are bounded. A
//! client that takes no output holds up its own command alone: some megabytes of output wait for it, then the command
//! does, and after ten minutes it is ended; one that gives no input, after an hour.
//!
//! A command whose client went away ends at its next output or input, or between two rows of an import; a change that
//! was handed in by then is done.

pub(crate) mod protocol;
mod reload;
mod serve;
mod server;
mod signals;
pub(crate) mod socket;
mod work;

pub(crate) use serve::run;

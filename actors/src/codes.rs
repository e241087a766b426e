//! The codes of all errors.
//!
//! Messages are for people and change; a code is for programs and never does: [`NodeError::code`],
//! [`Refused::code`] and [`TypedError::code`] give it, the command line and the HTTP interface pass it on. Where two of
//! them use one code, it means the same.
//!
//! | code | what happened | what to do |
//! |---|---|---|
//! | `bound-already` | a list has one binding authority | rebind, or bind a mirror |
//! | `busy` | too much waits for the workspace; nothing was done | try again |
//! | `damaged` | a file of the data folder cannot be read | restore it from a backup |
//! | `design` | a design cannot be meant | see the message: each fault with its place |
//! | `design-owned` | the design belongs to a server | change it there |
//! | `device-key` | the device key cannot be read or made | see the message: permissions, or a damaged file |
//! | `device-removed` | a removed device key is never used again | join with a new device key |
//! | `disk-full` | there is no room for what was written | make room, open the node again |
//! | `disk-low` | the disk is nearly full: the node is read-only | make room |
//! | `empty-field` | a cell is empty whose field in the Rust type is no `Option` | make it one, or give it a default |
//! | `extra-field` | the list has a field that the Rust type does not allow | allow it, or add it to the type |
//! | `invite-awaits-approval` | a manager has to say yes | wait, then try again |
//! | `invite-expired` | the invitation's time is over | ask for a new one |
//! | `invite-unknown` | there is no such invitation, or the ticket is not for it | ask for a new one |
//! | `invite-used-up` | as many as it allows have joined by it | ask for a new one |
//! | `invite-withdrawn` | the invitation was taken back | ask for a new one |
//! | `io` | the operating system refused to read or write | see the message |
//! | `left` | the workspace was left: its copy here is for reading | join again |
//! | `locked` | another process uses the data folder | stop it, or use its interface |
//! | `member-exists` | the device is a member already | change its role instead |
//! | `name` | a name is empty, too long, taken, or has control characters | choose another |
//! | `newer-format` | the data folder was written by a newer version | update |
//! | `no-control-chain` | a binding names a chain that can hold no verdicts | take the code that the server prints |
//! | `no-step` | the event does not change the design | put it right as any other |
//! | `not-own` | only the device that made a change can undo it | ask its author |
//! | `not-owner` | only the owner says who judges | ask the owner |
//! | `not-refused` | the event takes part, so that there is nothing to put right | nothing |
//! | `not-the-server` | only the server that the design belongs to takes refused changes into it | do it there |
//! | `not-undoable` | the event changed members or the design, not records | put those back by name |
//! | `nothing-left` | all that a refused event did has been done since | nothing |
//! | `offline` | it needs the network, and the node is not on it | go online first |
//! | `record-exists` | a record with this id exists already | change it instead |
//! | `rehearsing` | a design is being rehearsed here already | try again when that is done |
//! | `role` | the member's role does not allow it | ask a manager |
//! | `rule` | a rule of the design does not allow the change | see the message: it is the rule's own |
//! | `senior` | the owner, or a manager senior to this one, cannot be changed by it | ask who is senior |
//! | `stale` | something else is there than what the caller had seen | read again, decide again |
//! | `stopped` | the workspace was closed or removed | open the node again |
//! | `too-large` | an event would be beyond a limit of the format | split the transaction |
//! | `too-many-retries` | more refused events are to be sent again by themselves than a node keeps | put some right, or give them up |
//! | `type` | a value is none of the field's type | convert it |
//! | `unknown-batch` | this device wrote nothing in such a batch | check the batch id |
//! | `unknown-binding` | no such binding is in force | look at the present ones |
//! | `unknown-choice` | the field has no such choice | add the choice, or choose another |
//! | `unknown-element` | the design has no such element | check its id |
//! | `unknown-event` | there is no such event | check its id |
//! | `unknown-field` | the list has no such field | the message names those that there are |
//! | `unknown-list` | the workspace has no such list | check its name |
//! | `unknown-member` | no such device is a member | check its key |
//! | `unknown-person` | nobody who is a member has this id | look it up with `tandem members --json` |
//! | `unknown-proposal` | no server proposed such a design | look at the history of designs |
//! | `unknown-record` | no such record exists | check its id; it may have been removed |
//! | `unknown-workspace` | the node has no such workspace | check its id |
//! | `unreachable` | another node cannot be reached, or ends the link | see the message |
//! | `value` | what a record shows is no value of the Rust type, or the other way round | see the message |
//! | `values-missing` | a refused event came here without its values | let its author send it again |
//! | `workspace-exists` | the node has the workspace already | remove it, or use another data folder |
//! | `write-failed` | a write failed, and what the disk kept is not known | open the node again |
//!
//! [`NodeError::code`]: crate::NodeError::code
//! [`Refused::code`]: crate::Refused::code
//! [`TypedError::code`]: crate::TypedError::code

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    /// The sources of this crate.
    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    /// What the `code` functions give.
    fn given() -> BTreeSet<String> {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let begin = ["pub fn code(", "&self) -> &'static str {"].concat();
        let bodies = files.iter().flat_map(|file| file.split(begin.as_str()).skip(1));
        let bodies: Vec<&str> = bodies.map(|rest| rest.split("\n    }\n").next().unwrap()).collect();
        assert!(bodies.len() >= 3, "found {} functions only", bodies.len());
        let codes = bodies.iter().flat_map(|body| body.split("=> \"").skip(1));
        codes.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_table_has_all_codes_and_no_others() {
        let rows: Vec<&str> = include_str!("codes.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next())
            .collect();
        assert!(rows.is_sorted_by(|a, b| a < b), "in order, each once");
        assert_eq!(rows.into_iter().map(String::from).collect::<BTreeSet<_>>(), given());
    }
}

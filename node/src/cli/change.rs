//! Commands that change records.

use super::{
    CliError, Console, Exit,
    args::{Named, New, Set},
    form::{Entries, Form},
    names,
    shown::record_json,
};
use crate::show::escape;
use tandem_actors::{Change, Command, Handle, NodeError, Refused, Transaction, fresh_record};
use tandem_storage::{fold::RecordState, query::Record};
use tandem_wire::RecordKey;

pub(super) fn new(workspace: &Handle, new: &New, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let list = names::list(design, &new.list)?;
    let key = RecordKey { list, record: fresh_record() };
    let make = |values: &[String]| -> Result<bool, CliError> {
        let mut changes = vec![Change::Create(key)];
        changes.extend(names::changes(design, key, &RecordState::default(), values, fresh)?);
        commit(workspace, changes)
    };
    let is_on_a_terminal = console.screen.width.is_some();
    if new.ask || new.form.is_some() || (new.values.is_empty() && is_on_a_terminal && !new.json.json) {
        // Nobody is asked for more where what is said cannot be.
        names::changes(design, key, &RecordState::default(), &new.values, fresh)?;
        let (form, mut entries) = (Form::of(design, list, new.form.as_deref())?, Entries::default());
        loop {
            form.fill_in(&state, &new.values, &mut entries, console)?;
            match make(&[&new.values[..], &entries.assignments(design)].concat()) {
                // What was typed in is not lost: it is asked for again.
                Err(CliError::Node(NodeError::Refused(refused @ (Refused::Rule { .. } | Refused::Type { .. })))) => {
                    console.line(escape(&refused.to_string()))?;
                }
                done => break done?,
            }
        }
    } else {
        make(&new.values)?
    };
    if new.json.json {
        let after = workspace.read();
        let state = after.state(key)?;
        console.line(record_json(&after, list, &Record { id: key.record, state }))?;
    } else {
        console.line(key.record)?;
    }
    Ok(Exit::Success)
}

pub(super) fn set(workspace: &Handle, set: &Set, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let design = state.design();
    let list = names::list(design, &set.list)?;
    let key = names::record(&state, list, &set.record)?;
    let unknown = || Refused::UnknownRecord { list: design.name(list), record: key };
    let record = state.record(key)?.ok_or_else(unknown)?;
    let changes = names::changes(design, key, &record.state, &set.values, fresh)?;
    let committed = commit(workspace, changes)?;
    if !committed {
        console.line("it is so already")?;
    }
    Ok(Exit::Success)
}

pub(super) fn rm(workspace: &Handle, rm: &Named, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let list = names::list(state.design(), &rm.list)?;
    let key = names::record(&state, list, &rm.record)?;
    commit(workspace, vec![Change::Delete(key)])?;
    console.line(format_args!("removed {}; its history stays", key.record))?;
    Ok(Exit::Success)
}

pub(super) fn restore(workspace: &Handle, restore: &Named, console: &mut Console) -> Result<Exit, CliError> {
    let state = workspace.read();
    let list = names::list(state.design(), &restore.list)?;
    let key = names::removed_record(&state, list, &restore.record)?;
    commit(workspace, vec![Change::Restore(key)])?;
    console.line(format_args!("restored {}", key.record))?;
    Ok(Exit::Success)
}

/// Whether anything changed.
fn commit(workspace: &Handle, changes: Vec<Change>) -> Result<bool, CliError> {
    let committed = workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() }))?;
    Ok(!committed.events.is_empty())
}

/// What makes the key of a new element unique.
fn fresh() -> [u8; 6] {
    *fresh_record().0.first_chunk().expect("16 bytes")
}

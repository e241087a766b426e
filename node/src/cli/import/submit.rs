//! The one place where an import hands rows to the workspace: new records many at once, all else as transactions.

use super::super::CliError;
use std::{
    collections::VecDeque,
    sync::Arc,
    thread::{self, JoinHandle},
};
use tandem_actors::{
    Change, Command, Handle, Insert, Inserted, NewRecord, NodeError, Refused, Transaction, handle::Pending,
};
use tandem_wire::{BatchId, CellKey, ListId, RecordKey};

/// New records handed to the workspace at a time: about 1 KiB each, and as much again while they are made. Each time
/// leaves files to be merged, so that fewer are faster.
const RECORDS_PER_INSERT: usize = 64 * 1024;

/// Transactions handed to the workspace at a time.
const TRANSACTIONS_PER_MESSAGE: usize = 256;
/// Messages under way: the next rows are read while these are made durable.
const MESSAGES_UNDER_WAY: usize = 4;

/// What a transaction is to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It makes the record.
    Create,
    /// It changes a record that is there.
    Update,
    /// It goes on where the one before it ended.
    Continue,
}

/// What the workspace answered, in rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// Records that were made.
    pub made: u64,
    /// Records that were there and are changed.
    pub changed: u64,
    /// Records that were there and are as they were.
    pub present: u64,
    /// The lines of rows that no event can hold, and why.
    pub too_large: Vec<(u64, String)>,
}

/// New records with their lines, and what became of them.
type Inserting = JoinHandle<Result<(Arc<[NewRecord]>, Vec<u64>, Inserted), NodeError>>;

/// Takes rows one by one. Transactions are done in their order; new records, of which none depends on another, when
/// there are many.
pub(super) struct Submitter<'a> {
    workspace: &'a Handle,
    list: ListId,
    batch: BatchId,
    new: Vec<NewRecord>,
    /// The lines of these.
    new_lines: Vec<u64>,
    inserting: Option<Inserting>,
    waiting: Vec<Command>,
    /// What each of them is to its row, and its line.
    steps: Vec<(Step, u64)>,
    under_way: VecDeque<(Pending, Vec<(Step, u64)>)>,
    answered: Answered,
    /// The update that was answered last changed nothing so far.
    is_unchanged: bool,
}

impl<'a> Submitter<'a> {
    /// Of the rows of one import into a list.
    pub(super) fn new(workspace: &'a Handle, list: ListId, batch: BatchId) -> Self {
        let answered = Answered::default();
        Self {
            workspace,
            list,
            batch,
            new: Vec::new(),
            new_lines: Vec::new(),
            inserting: None,
            waiting: Vec::new(),
            steps: Vec::new(),
            under_way: VecDeque::new(),
            answered,
            is_unchanged: false,
        }
    }

    pub(super) fn add(&mut self, transaction: Transaction, step: Step, line: u64) -> Result<(), CliError> {
        self.waiting.push(Command::Change(transaction));
        self.steps.push((step, line));
        if self.waiting.len() >= TRANSACTIONS_PER_MESSAGE { self.send() } else { Ok(()) }
    }

    /// A record that the row makes, in one event.
    pub(super) fn insert(&mut self, record: NewRecord, line: u64) -> Result<(), CliError> {
        self.new.push(record);
        self.new_lines.push(line);
        if self.new.len() >= RECORDS_PER_INSERT { self.send_new() } else { Ok(()) }
    }

    /// Waits until all are durable and shown.
    pub(super) fn finish(mut self) -> Result<Answered, CliError> {
        self.send_new()?;
        self.receive_new()?;
        self.send()?;
        while !self.under_way.is_empty() {
            self.receive()?;
        }
        Ok(self.answered)
    }

    /// Hands the new records in; the next rows are read while these are made.
    fn send_new(&mut self) -> Result<(), CliError> {
        self.receive_new()?;
        let (workspace, list, batch) = (self.workspace.clone(), self.list, self.batch);
        let records: Arc<[NewRecord]> = std::mem::take(&mut self.new).into();
        let lines = std::mem::take(&mut self.new_lines);
        self.inserting = Some(thread::spawn(move || {
            let insert = Insert { list, batch: Some(batch), actor: None, records: records.clone() };
            workspace.insert(insert).map(|inserted| (records, lines, inserted))
        }));
        Ok(())
    }

    /// What could not be made among many is done one by one: it is there already, or was once.
    fn receive_new(&mut self) -> Result<(), CliError> {
        let Some(inserting) = self.inserting.take() else { return Ok(()) };
        let (records, lines, inserted) = inserting.join().expect("handing in does not panic")?;
        self.answered.made += inserted.made;
        for place in inserted.left {
            let NewRecord { id, cells } = &records[place];
            let record = RecordKey { list: self.list, record: *id };
            let sets = cells.iter().map(|(field, part, value)| {
                Change::SetRaw(CellKey { record, field: *field, part: part.clone() }, value.clone())
            });
            let changes = std::iter::once(Change::Create(record)).chain(sets).collect();
            let transaction = Transaction { changes, batch: Some(self.batch), ..Transaction::default() };
            self.add(transaction, Step::Create, lines[place])?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), CliError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        while self.under_way.len() >= MESSAGES_UNDER_WAY {
            self.receive()?;
        }
        let pending = self.workspace.submit(std::mem::take(&mut self.waiting))?;
        self.under_way.push_back((pending, std::mem::take(&mut self.steps)));
        Ok(())
    }

    fn receive(&mut self) -> Result<(), CliError> {
        let Some((pending, steps)) = self.under_way.pop_front() else { return Ok(()) };
        for (answer, (step, line)) in pending.wait()?.into_iter().zip(steps) {
            match (answer, step) {
                (Ok(_), Step::Create) => {
                    self.is_unchanged = false;
                    self.answered.made += 1;
                }
                (Ok(committed), Step::Update) => self.count_update(!committed.events.is_empty()),
                (Ok(committed), Step::Continue) => self.count_more(!committed.events.is_empty()),
                (Err(Refused::RecordExists(_)), _) => {
                    self.is_unchanged = false;
                    self.answered.present += 1;
                }
                // The other rows have nothing to do with it.
                (Err(why @ Refused::TooLarge(_)), _) => self.answered.too_large.push((line, why.to_string())),
                (Err(refused), _) => return Err(NodeError::from(refused).into()),
            }
        }
        Ok(())
    }

    fn count_update(&mut self, is_changed: bool) {
        self.is_unchanged = !is_changed;
        self.answered.changed += u64::from(is_changed);
        self.answered.present += u64::from(!is_changed);
    }

    /// A record whose first event said nothing new may be changed by a later one.
    fn count_more(&mut self, is_changed: bool) {
        if is_changed && std::mem::take(&mut self.is_unchanged) {
            self.answered.present -= 1;
            self.answered.changed += 1;
        }
    }
}

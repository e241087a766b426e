//! Somebody in the story, with a node of their own.

use crate::cli::{CliError, names, shown::record_json};
use serde_json::Value as Json;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tandem_actors::{
    Handle, Node, Options, fresh_record,
    handle::State,
    peer_link::{Standing, memory::Exchange},
};
use tandem_storage::{inbox::Entry, query::Query};
use tandem_wire::{DeviceKey, ListId, PartPath, RecordId, RecordKey, Value};

/// A person and their node, which reaches the others' through memory.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) node: Arc<Node>,
    /// The node's data folder.
    pub(super) folder: PathBuf,
    exchange: Exchange,
}

impl Person {
    /// Not on the network yet.
    pub(super) fn new(name: &'static str, folder: &Path, exchange: &Exchange) -> Result<Self, CliError> {
        let folder = folder.join(name);
        let node = Arc::new(Node::open(&folder, Options::default())?);
        Ok(Self { name, node, folder, exchange: exchange.clone() })
    }

    pub(super) fn go_online(&self) -> Result<(), CliError> {
        let transport = self.exchange.join(self.device(), fresh_secret);
        Ok(self.node.link_through(Arc::new(transport))?)
    }

    pub(super) fn go_offline(&self) {
        self.node.go_offline();
    }

    pub(super) fn close(self) -> Result<(), CliError> {
        // Whatever else has the node closes it when it is done.
        Ok(Arc::into_inner(self.node).map_or(Ok(()), Node::close)?)
    }

    pub(super) fn device(&self) -> DeviceKey {
        self.node.device()
    }

    /// Whether the list of contacts has such a field.
    pub(super) fn has_field(&self, name: &str) -> Result<bool, CliError> {
        let state = self.workspace()?.read();
        let design = state.design();
        let list = names::list(design, "contacts")?;
        Ok(design.fields(list).into_iter().any(|field| design.name(field) == name))
    }

    /// How many proposed designs are known not to fit.
    pub(super) fn proposals_failed(&self) -> Result<usize, CliError> {
        let fold = self.workspace()?.fold();
        Ok(fold.design().proposals.values().filter(|proposal| !proposal.failed.is_empty()).count())
    }

    /// The contacts with everything about them.
    pub(super) fn rows(&self) -> Result<Vec<tandem_storage::query::Record>, CliError> {
        let state = self.workspace()?.read();
        let list = names::list(state.design(), "contacts")?;
        Ok(state.list(list, &Query::default())?)
    }

    /// The one workspace that they have.
    pub(super) fn workspace(&self) -> Result<Handle, CliError> {
        let all = self.node.workspaces()?;
        let only = all.first().ok_or_else(|| CliError::NotFound(format!("{} has no workspace yet", self.name)))?;
        Ok(self.node.workspace(only.id)?)
    }

    /// Whose nodes theirs is linked to now.
    pub(super) fn linked(&self) -> Result<Vec<DeviceKey>, CliError> {
        let peers = self.node.peers(self.workspace()?.id());
        Ok(peers.into_iter().map(|peer| peer.device).collect())
    }

    /// Whether they are linked to these and nobody else, and have the same as each of them.
    pub(super) fn is_up_to_date_with(&self, others: &[&Self]) -> Result<bool, CliError> {
        let peers = self.node.peers(self.workspace()?.id());
        for other in others {
            let standing = peers.iter().find(|peer| peer.device == other.device()).map(|peer| peer.standing);
            if standing != Some(Standing::UpToDate) || other.digest()? != self.digest()? {
                return Ok(false);
            }
        }
        Ok(peers.len() == others.len())
    }

    pub(super) fn digest(&self) -> Result<[u8; 32], CliError> {
        Ok(self.workspace()?.digest()?)
    }

    pub(super) fn inbox(&self) -> Result<Vec<Entry>, CliError> {
        Ok(self.workspace()?.read().inbox()?)
    }

    /// How many contacts they have.
    pub(super) fn contacts(&self) -> Result<u64, CliError> {
        let state = self.workspace()?.read();
        Ok(state.count(contacts(&state)?)?)
    }

    /// The contact with this name.
    pub(super) fn find(&self, name: &str) -> Result<RecordId, CliError> {
        let state = self.workspace()?.read();
        let list = contacts(&state)?;
        let field = names::field(state.design(), list, "name")?;
        let filters = vec![(field, PartPath::default(), Value::Text(name.into()))];
        let found = state.list(list, &Query { filters, ..Query::default() })?;
        let missing = || CliError::NotFound(format!("{}'s contacts have no {name}", self.name));
        Ok(found.first().ok_or_else(missing)?.id)
    }

    /// A contact as `docs/cli.md` documents it; nothing if it was removed.
    pub(super) fn contact(&self, id: RecordId) -> Result<Json, CliError> {
        let state = self.workspace()?.read();
        let list = contacts(&state)?;
        let record = state.record(RecordKey { list, record: id })?;
        Ok(record.map_or(Json::Null, |record| record_json(&state, list, &record)))
    }

    /// The first phone number of a contact, as it is shown here.
    pub(super) fn number(&self, id: RecordId) -> Result<String, CliError> {
        let number = self.contact(id)?["fields"]["phones"][0]["number"].take();
        Ok(number.as_str().unwrap_or_default().to_owned())
    }

    /// The first e-mail address of a contact, as it is shown here.
    pub(super) fn address(&self, id: RecordId) -> Result<String, CliError> {
        let address = self.contact(id)?["fields"]["emails"][0]["address"].take();
        Ok(address.as_str().unwrap_or_default().to_owned())
    }

    /// Who changed a contact last.
    pub(super) fn last_author(&self, id: RecordId) -> Result<Option<DeviceKey>, CliError> {
        let state = self.workspace()?.read();
        let steps = state.changes_of(RecordKey { list: contacts(&state)?, record: id })?;
        Ok(steps.last().map(|step| step.author.device))
    }
}

/// The beginning of an id, which is enough to type.
pub(super) fn short(id: impl ToString) -> String {
    id.to_string().chars().take(8).collect()
}

fn contacts(state: &State) -> Result<ListId, CliError> {
    names::list(state.design(), "contacts")
}

/// For streams that never leave the process.
fn fresh_secret() -> [u8; 32] {
    let halves = [fresh_record().0, fresh_record().0];
    std::array::from_fn(|at| halves[at / 16][at % 16])
}

//! The nodes of a scenario, and what they do.

use super::script::{BadScript, Part, RuleLine, Script};
use crate::node::WORKSPACE;
use std::{collections::BTreeMap, sync::Arc};
use tandem_actors::{
    Change, Command, Committed, Refused, Transaction,
    authority::{ListPolicy, RuleText, Stale},
    command::{Admission, MemberChange, Resend, ServerChange},
    workspace::{Core, found, plain_cell},
};
use tandem_storage::{
    Reader, Store,
    engine::{Batch, Durability, Engine, MemoryEngine, MemorySnapshot, Table},
    log,
    outbox::waiting,
    take::Received,
};
use tandem_wire::{
    BindingMode, ChainId, DeviceKey, ElementId, FieldId, GenesisText, ListId, MemberId, RecordId, RecordKey, Role,
    SecretKey, Value, WorkspaceId, design::Property,
};

/// What the clocks show when a scenario begins, in milliseconds since 1970; each step takes a second.
const EPOCH_MS: u64 = 1_750_000_000_000;
const STEP_MS: u64 = 1_000;
/// A fresh pair of chains, after a restore.
const FRESH_PAIR: u32 = 1000;

pub(super) type Said = Result<Vec<String>, String>;

/// A node.
pub(super) struct Player {
    core: Core<MemoryEngine>,
    key: u8,
    /// What [`Stage::act`] was told to keep of its disk.
    backup: Option<MemoryEngine>,
    /// How often it was restored.
    restored: u32,
}

/// All nodes, by their names.
pub(super) struct Stage {
    players: BTreeMap<String, Player>,
    owner: String,
    workspace: WorkspaceId,
    now_ms: u64,
}

impl Player {
    pub(super) fn reader(&self) -> Reader<MemorySnapshot> {
        Reader::new(self.core.store().engine().snapshot(), self.core.store().views())
    }

    fn device(&self) -> DeviceKey {
        self.core.device()
    }

    fn disk(&self) -> MemoryEngine {
        let engine = self.core.store().engine();
        engine.crash(engine.unsynced())
    }

    fn does(&mut self, now_ms: u64, command: Command) -> Result<Committed, Refused> {
        let group = self.core.decide(now_ms, &[command]).expect("memory can be read");
        self.settle(group).remove(0)
    }

    fn settle(&mut self, group: tandem_actors::workspace::Group) -> Vec<Result<Committed, Refused>> {
        let (batch, answers) = self.core.settle(group).expect("memory can be read");
        self.core.store().engine().commit(batch, Durability::Synced).expect("memory can be written");
        self.core.upkeep().expect("memory can be written");
        answers
    }

    /// Takes in what another has, and judges. Says whether anything came, and what was judged.
    fn hears(&mut self, other: &[Received], now_ms: u64) -> (bool, (u64, u64)) {
        let before = self.core.store().next_arrival();
        let mut rest = other;
        while !rest.is_empty() {
            let taking = self.core.look_at(rest).expect("memory can be read");
            let own_came_back = rest[..taking.looked_at].iter().enumerate().any(|(index, run)| {
                !taking.left.iter().any(|(left, _)| *left == index) && self.core.writes(run.last().chain)
            });
            if own_came_back {
                self.core.begin_pair(FRESH_PAIR + 2 * self.restored);
            }
            rest = &rest[taking.looked_at..];
            self.core.store().engine().commit(taking.log, Durability::Synced).expect("memory can be written");
            self.core.catch_up(taking.decoded, &mut |_, _| {}).expect("memory can be written");
        }
        self.core.upkeep().expect("memory can be written");
        let (accepted, refused) = self.core.judged();
        while let Some(group) = self.core.sit(now_ms, &BTreeMap::new()).expect("memory can be read") {
            self.settle(group);
        }
        if let Some(group) = self.core.retry(now_ms).expect("memory can be read") {
            self.settle(group);
        }
        let now = self.core.judged();
        (self.core.store().next_arrival() > before, (now.0 - accepted, now.1 - refused))
    }

    fn runs(&self) -> Vec<Received> {
        let engine = self.core.store().engine();
        let runs = log::runs_from(&**engine, WORKSPACE, 0).map(|run| run.expect("memory can be read").1);
        runs.map(|run| Received::verify(run.to_vec()).expect("it was verified")).collect()
    }

    /// How much of what it wrote waits for a verdict.
    fn outbox(&self) -> usize {
        let (fold, snapshot) = (self.core.store().fold().clone(), self.core.store().engine().snapshot());
        let log = log::LogReader::new(&snapshot, WORKSPACE);
        let of = |term| waiting(&fold, &snapshot, &log, term, self.device()).expect("memory can be read").len();
        fold.present_terms().map(of).sum()
    }
}

impl Stage {
    /// Everybody is there and has the same; nobody judges yet.
    pub(super) fn set(script: &Script) -> Result<Self, BadScript> {
        let bad = |why: String| BadScript { line: 1, why };
        let owner = script.cast.iter().find(|(_, part)| *part == Part::Owner);
        let (owner, _) = owner.ok_or_else(|| bad("nobody is the owner".into()))?;
        let names = GenesisText { workspace: script.title.clone(), member: owner.clone() };
        let (workspace, genesis) = found(&secret(1), [1; 16], MemberId([1; 16]), &names, EPOCH_MS);
        let mut stage = Self { players: BTreeMap::new(), owner: owner.clone(), workspace, now_ms: EPOCH_MS };
        for (index, (name, _)) in script.cast.iter().enumerate() {
            let key = if name == owner { 1 } else { index as u8 + 2 };
            let engine = MemoryEngine::default();
            let mut batch = Batch::default();
            batch.put(Table::Log, log::key(WORKSPACE, 0), genesis.encode());
            engine.commit(batch, Durability::Synced).expect("memory can be written");
            let player = Player { core: stage.core(key, engine), key, backup: None, restored: 0 };
            stage.players.insert(name.clone(), player);
        }
        for (name, part) in &script.cast {
            let role = match part {
                Part::Owner => continue,
                Part::Member(role) => *role,
                Part::Server => Role::Reader,
            };
            let (device, member) = (stage.players[name].device(), MemberId([stage.players[name].key; 16]));
            let admission = Admission { member, name: name.clone(), device, role, invited: None, approved: true };
            stage.owner_does(Command::Members(MemberChange::Admit(admission))).map_err(bad)?;
        }
        for (name, fields) in &script.lists {
            let create = Command::CreateList { name: name.clone(), fields: fields.clone() };
            stage.owner_does(create).map_err(bad)?;
        }
        stage.all_meet();
        for rule in &script.rules {
            stage.add_rule(rule).map_err(bad)?;
        }
        Ok(stage)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (&String, &Player)> {
        self.players.iter()
    }

    fn core(&self, key: u8, engine: MemoryEngine) -> Core<MemoryEngine> {
        let store = Store::open(Arc::new(engine), WORKSPACE).expect("memory can be read");
        Core::new(store, Arc::new(secret(key)), self.workspace)
    }

    fn owner_does(&mut self, command: Command) -> Result<Committed, String> {
        let now_ms = self.now_ms;
        let owner = self.players.get_mut(&self.owner).expect("there is one");
        owner.does(now_ms, command).map_err(|refused| refused.to_string())
    }

    /// Does what a line says; gives what is to be told of it.
    pub(super) fn act(&mut self, line: &str) -> Said {
        self.now_ms += STEP_MS;
        if line == "everybody meets" {
            return Ok(self.all_meet());
        }
        if let Some(rule) = line.strip_prefix("from now on, rule of ") {
            return self.add_rule(&RuleLine::read(rule)?).map(|()| Vec::new());
        }
        let (who, rest) = line.split_once(' ').ok_or("who does what?")?;
        if !self.players.contains_key(who) {
            return Err(format!("{who} is not there"));
        }
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "meets" => self.meet(who, rest),
            "binds" | "rebinds" => self.bind(who, rest, verb == "rebinds"),
            "unbinds" => {
                let device = self.player(rest)?.device();
                let fold = self.players[who].core.store().fold().clone();
                let term = fold.present_terms().find(|term| term.chain().device == device).map(|term| term.binding);
                let term = term.ok_or_else(|| format!("{rest} is not bound"))?;
                self.does(who, Command::Servers(ServerChange::Unbind(term)))
            }
            "creates" | "sets" => self.write(who, verb, rest),
            "deletes" => {
                let record = self.record(who, rest)?;
                let changes = vec![Change::Delete(record)];
                self.does(who, Command::Change(Transaction { changes, ..Transaction::default() }))
            }
            "resends" => self.resend(who, rest),
            "waits" => {
                let record = rest.strip_prefix("for a change about ").ok_or("waits for a change about RECORD")?;
                let event = self.refused_at(who, record)?;
                let player = self.players.get_mut(who).expect("looked at");
                let batch = player.core.retry_when_changed(&event).expect("memory can be read");
                let batch = batch.map_err(|refused| refused.to_string())?;
                player.core.store().engine().commit(batch, Durability::Synced).expect("memory can be written");
                Ok(Vec::new())
            }
            "discards" => {
                let event = self.refused_at(who, rest)?;
                self.does(who, Command::Discard(event))
            }
            "hands" => {
                let (record, to) = rest.split_once(" to ").ok_or("hands RECORD to WHOM")?;
                let (event, to) = (self.refused_at(who, record)?, MemberId([self.player(to)?.key; 16]));
                self.does(who, Command::HandOn { event, to })
            }
            "removes" => {
                let device = self.player(rest)?.device();
                self.does(who, Command::Members(MemberChange::Remove(device)))
            }
            "makes" => self.make(who, rest),
            "refuses" => {
                let list = rest.strip_prefix("stale edits of ").ok_or("refuses stale edits of LIST")?;
                let list = self.list(who, list)?;
                let player = self.players.get_mut(who).expect("looked at");
                let mut policy = player.core.policy().clone();
                policy.lists.insert(list, ListPolicy { stale: Stale::Refuse });
                player.core.set_policy(policy);
                Ok(Vec::new())
            }
            "is" => self.is(who, rest),
            other => Err(format!("nobody can do this: {other}")),
        }
    }

    fn is(&mut self, who: &str, what: &str) -> Said {
        let player = self.players.get_mut(who).expect("looked at");
        match what {
            "backed up" => player.backup = Some(player.disk()),
            "restored from the backup" => {
                let (engine, policy) =
                    (player.backup.clone().ok_or("there is no backup")?, player.core.policy().clone());
                player.restored += 1;
                let (key, pair) = (player.key, FRESH_PAIR + 2 * player.restored);
                let mut core = self.core(key, engine.crash(engine.unsynced())).with_pair(pair);
                core.set_policy(policy);
                self.players.get_mut(who).expect("looked at").core = core;
            }
            other => return Err(format!("nobody can be {other}")),
        }
        Ok(Vec::new())
    }

    fn make(&mut self, who: &str, rest: &str) -> Said {
        if let Some((field, property)) = rest.rsplit_once(' ')
            && let Some((list, field)) = field.split_once('.')
        {
            let list = self.list(who, list)?;
            let (property, value) = match property {
                "unique" => (Property::Unique, Value::Bool(true)),
                "required" => (Property::Required, Value::Bool(true)),
                "restrict" | "set-null" => (Property::OnDelete, Value::Text(property.into())),
                other => return Err(format!("no field can be made {other}")),
            };
            let element: ElementId = self.field(who, list, field)?.into();
            return self.does(who, Command::Put { element, property, value });
        }
        let (whom, role) = rest.split_once(" a ").ok_or("makes WHOM a ROLE, or LIST.FIELD unique")?;
        let role = match role {
            "reader" => Role::Reader,
            "writer" => Role::Writer,
            "manager" => Role::Manager,
            other => return Err(format!("{other} is no role")),
        };
        let device = self.player(whom)?.device();
        self.does(who, Command::Members(MemberChange::SetRole { device, role }))
    }

    /// `SERVER`, `SERVER to LIST`, each with ` as mirror` behind it.
    fn bind(&mut self, who: &str, rest: &str, replaces: bool) -> Said {
        let (rest, mode) = match rest.strip_suffix(" as mirror") {
            Some(rest) => (rest, BindingMode::Mirror),
            None => (rest, BindingMode::Binding),
        };
        let (server, list) = rest.split_once(" to ").map_or((rest, None), |(server, list)| (server, Some(list)));
        let authority: ChainId = self.player(server)?.core.control_chain();
        let lists = list.map(|list| self.list(who, list)).transpose()?.map(|list| vec![list]);
        let fold = self.players[who].core.store().fold().clone();
        let replaces = fold.present_terms().filter(|term| replaces && term.chain().device == authority.device);
        let replaces = replaces.map(|term| term.binding).collect();
        self.does(who, Command::Servers(ServerChange::Bind { authority, lists, mode, replaces }))
    }

    fn write(&mut self, who: &str, verb: &str, rest: &str) -> Said {
        let (name, values) = rest.split_once(": ").unwrap_or((rest, ""));
        let record = self.record(who, name)?;
        let mut changes = if verb == "creates" { vec![Change::Create(record)] } else { Vec::new() };
        for (field, value) in self.values(who, record.list, values)? {
            changes.push(Change::SetRaw(plain_cell(record, field), value));
        }
        self.does(who, Command::Change(Transaction { changes, ..Transaction::default() }))
    }

    fn resend(&mut self, who: &str, rest: &str) -> Said {
        let (name, values) = rest.split_once(": ").unwrap_or((rest, ""));
        let (event, record) = (self.refused_at(who, name)?, self.record(who, name)?);
        let values = self.values(who, record.list, values)?.into_iter();
        let values = values.map(|(field, value)| (plain_cell(record, field), value)).collect();
        self.does(who, Command::Resend(Resend { event, values, with_dependants: true, actor: None }))
    }

    fn does(&mut self, who: &str, command: Command) -> Said {
        let now_ms = self.now_ms;
        let player = self.players.get_mut(who).expect("looked at");
        match player.does(now_ms, command) {
            Ok(done) if done.events.len() > 1 => Ok(vec![format!("{} events", done.events.len())]),
            Ok(_) => Ok(Vec::new()),
            Err(refused) => Ok(vec![format!("not done: {refused}")]),
        }
    }

    /// Two have the same in the end.
    fn meet(&mut self, one: &str, other: &str) -> Said {
        self.player(other)?;
        let mut said = Vec::new();
        while self.hand(one, other, &mut said) | self.hand(other, one, &mut said) {}
        Ok(said)
    }

    fn all_meet(&mut self) -> Vec<String> {
        let names: Vec<String> = self.players.keys().cloned().collect();
        let mut said = Vec::new();
        loop {
            let mut any = false;
            for (from, to) in names.iter().flat_map(|from| names.iter().map(move |to| (from, to))) {
                any |= from != to && self.hand(from, to, &mut said);
            }
            if !any {
                break;
            }
        }
        let fold = self.players[&self.owner].core.store().fold().clone();
        let present = self.players.values().filter(|player| fold.takes_part(player.device()));
        let digests = present.map(|player| player.core.store().digest().expect("memory can be read"));
        let mut digests: Vec<[u8; 32]> = digests.collect();
        digests.dedup();
        said.push(if digests.len() == 1 { "all members have the same" } else { "they differ" }.to_owned());
        let waiting: Vec<String> = self
            .players
            .iter()
            .filter(|(_, player)| fold.takes_part(player.device()))
            .map(|(name, player)| (name, player.outbox()))
            .filter(|(_, waiting)| *waiting > 0)
            .map(|(name, waiting)| format!("{waiting} of {name}'s changes wait for a verdict"))
            .collect();
        said.extend(waiting);
        said
    }

    /// Whether anything came that was not there.
    fn hand(&mut self, from: &str, to: &str, said: &mut Vec<String>) -> bool {
        let (runs, now_ms) = (self.players[from].runs(), self.now_ms);
        let device = self.players[to].device();
        let fold = self.players[from].core.store().fold().clone();
        if fold.members().knows(device) && !fold.takes_part(device) {
            return false;
        }
        let player = self.players.get_mut(to).expect("looked at");
        let (came, judged) = player.hears(&runs, now_ms);
        if judged != (0, 0) {
            said.push(format!("{to} accepts {} and refuses {}", judged.0, judged.1));
        }
        came
    }

    fn add_rule(&mut self, rule: &RuleLine) -> Result<(), String> {
        let list = self.list(&rule.server, &rule.list)?;
        let player = self.players.get_mut(&rule.server).ok_or("no such server")?;
        let design = player.core.store().fold().design().clone();
        let names = design.fields(list).into_iter().map(|field| (design.name(field), field)).collect();
        let (name, check, message) = (rule.name.clone(), rule.check.clone(), rule.message.clone());
        let text = RuleText { list, name, check, message, field: None, names };
        text.read(&design).map_err(|error| error.to_string())?;
        let mut policy = player.core.policy().clone();
        policy.rules.retain(|other| other.name != text.name);
        policy.rules.push(text);
        player.core.set_policy(policy);
        let said = player.core.announce(self.now_ms).expect("memory can be read");
        said.map(|group| player.settle(group));
        Ok(())
    }

    fn player(&self, name: &str) -> Result<&Player, String> {
        self.players.get(name).ok_or_else(|| format!("{name} is not there"))
    }

    fn list(&self, who: &str, name: &str) -> Result<ListId, String> {
        let design = self.player(who)?.core.store().fold().design().clone();
        design.lists().find(|list| design.name(*list) == name).ok_or_else(|| format!("{who} has no list {name}"))
    }

    fn field(&self, who: &str, list: ListId, name: &str) -> Result<FieldId, String> {
        let design = self.player(who)?.core.store().fold().design().clone();
        let found = design.fields(list).into_iter().find(|field| design.name(*field) == name);
        found.ok_or_else(|| format!("there is no field {name}"))
    }

    /// `LIST/NAME`: the name is the record's id.
    fn record(&self, who: &str, text: &str) -> Result<RecordKey, String> {
        let (list, name) = text.split_once('/').ok_or("a record is LIST/NAME")?;
        let mut id = [0; 16];
        let bytes = name.as_bytes();
        id.get_mut(..bytes.len()).ok_or("a record's name has at most 16 letters")?.copy_from_slice(bytes);
        Ok(RecordKey { list: self.list(who, list)?, record: RecordId(id) })
    }

    /// `FIELD = VALUE, …`
    fn values(&self, who: &str, list: ListId, text: &str) -> Result<Vec<(FieldId, Value)>, String> {
        let pairs = text.split(", ").filter(|pair| !pair.is_empty());
        let read = |pair: &str| {
            let (field, value) = pair.split_once(" = ").ok_or("a value is FIELD = VALUE")?;
            let value = match value {
                "nothing" => Value::Null,
                text if text.starts_with('"') => Value::Text(text.trim_matches('"').into()),
                record if record.contains('/') => {
                    let RecordKey { list, record } = self.record(who, record)?;
                    Value::Reference { list, record }
                }
                number => Value::Int(number.parse().map_err(|_| format!("{number} is no value"))?),
            };
            Ok((self.field(who, list, field)?, value))
        };
        pairs.map(read).collect()
    }

    /// The refusal of a change of this record that is listed first.
    fn refused_at(&self, who: &str, record: &str) -> Result<tandem_wire::EventRef, String> {
        let (key, reader) = (self.record(who, record)?, self.player(who)?.reader());
        let listed = reader.refusals(None, usize::MAX).expect("memory can be read").into_iter();
        // What others were refused for needs the first that was.
        let of_it: Vec<_> = listed.filter(|refusal| refusal.refused.record == Some(key)).collect();
        let found = of_it.last().map(|refusal| refusal.refused.event);
        found.ok_or_else(|| format!("{who}'s inbox lists no refusal of {record}"))
    }

    pub(super) fn record_name(&self, key: RecordKey) -> String {
        let design = self.players[&self.owner].core.store().fold().design().clone();
        let name: String = key.record.0.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        format!("{}/{name}", design.name(key.list))
    }

    pub(super) fn value_text(&self, value: &Value) -> String {
        match value {
            Value::Null => "nothing".into(),
            Value::Text(text) => format!("{text:?}"),
            Value::Int(number) => number.to_string(),
            Value::Reference { list, record } => self.record_name(RecordKey { list: *list, record: *record }),
            other => format!("{other:?}"),
        }
    }

    pub(super) fn name_of(&self, device: DeviceKey) -> String {
        let found = self.players.iter().find(|(_, player)| player.device() == device);
        found.map_or_else(|| "somebody".into(), |(name, _)| name.clone())
    }

    pub(super) fn person(&self, member: MemberId) -> String {
        let found = self.players.iter().find(|(_, player)| MemberId([player.key; 16]) == member);
        found.map_or_else(|| "somebody".into(), |(name, _)| name.clone())
    }
}

fn secret(key: u8) -> SecretKey {
    SecretKey::from_bytes(&[key; 32])
}

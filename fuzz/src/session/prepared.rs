//! A small workspace with everything in its events that a session has to do with.

use super::member::{Member, NUMBER};
use std::sync::{Arc, OnceLock};
use tandem_actors::{
    Change, Command, Transaction,
    command::{Admission, MemberChange},
    workspace::{found, plain_cell},
};
use tandem_storage::{
    engine::{Batch, Durability, Engine, MemoryEngine, Table},
    log,
};
use tandem_wire::{
    ChainId, DeviceKey, Event, EventRef, FieldId, GenesisText, Header, ListId, MemberId, RecordId, RecordKey, Role,
    Run, SecretKey, Value, VersionTable, WorkspaceId,
    design::{BaseType, FieldType},
};

/// A text of which seven do not go into one message.
const LONG_BYTES: usize = 40 << 10;

/// Ada's node at the beginning, and what there is elsewhere.
pub struct Prepared {
    pub workspace: WorkspaceId,
    disk: MemoryEngine,
    /// What Ada had at times.
    pub past: Vec<Arc<VersionTable>>,
    /// What others have.
    pub elsewhere: Vec<VersionTable>,
    /// All runs that there are, and some that should not be: first Ada's, then by author, in their order.
    pub runs: Vec<Vec<u8>>,
    /// The events in them.
    pub places: Vec<EventRef>,
    list: ListId,
    field: FieldId,
}

pub fn ada() -> SecretKey {
    SecretKey::from_bytes(&[1; 32])
}

/// A writer, of whose chain there are two branches.
pub fn bob() -> SecretKey {
    SecretKey::from_bytes(&[2; 32])
}

/// Was removed.
pub fn cem() -> SecretKey {
    SecretKey::from_bytes(&[3; 32])
}

/// A manager, who has admitted Eve where Ada has not heard of it.
pub fn dan() -> SecretKey {
    SecretKey::from_bytes(&[4; 32])
}

fn eve() -> SecretKey {
    SecretKey::from_bytes(&[5; 32])
}

/// No member, yet.
pub fn stranger() -> SecretKey {
    SecretKey::from_bytes(&[6; 32])
}

impl Prepared {
    /// Made once.
    pub fn get() -> &'static Self {
        static PREPARED: OnceLock<Prepared> = OnceLock::new();
        PREPARED.get_or_init(Self::make)
    }

    /// Ada, as she is at the beginning.
    pub fn ada(&self) -> Member {
        Member::open(ada(), self.workspace, self.disk.clone())
    }

    /// Somebody who has nothing yet.
    pub fn newcomer(&self) -> Member {
        Member::open(stranger(), self.workspace, MemoryEngine::default())
    }

    /// Writes a text into a record, which is made if it is not there. Whether that was allowed.
    pub fn write(&self, by: &mut Member, record: u8, text: String) -> bool {
        let key = RecordKey { list: self.list, record: RecordId([record; 16]) };
        let set = Change::Set(plain_cell(key, self.field), Value::Text(text));
        let changes = if by.has(key) { vec![set] } else { vec![Change::Create(key), set] };
        by.does(Command::Change(Transaction { changes, ..Transaction::default() })).is_ok()
    }

    fn make() -> Self {
        let names = GenesisText { workspace: "Neighbours".into(), member: "Ada".into() };
        let (workspace, genesis) = found(&ada(), [1; 16], MemberId([1; 16]), &names, 1_000);
        let disk = MemoryEngine::default();
        let mut log = Batch::default();
        log.put(Table::Log, log::key(NUMBER, 0), genesis.encode());
        disk.commit(log, Durability::Synced).expect("memory does not fail");
        let mut ada = Member::open(ada(), workspace, disk);
        let fields = vec![("name".to_owned(), FieldType::one(BaseType::Text))];
        let made = ada.does(Command::CreateList { name: "List".into(), fields }).expect("allowed").elements;
        let (list, field) = (made[0].as_list(), made[1].as_field());
        let mut prepared = Self {
            workspace,
            disk: ada.disk(),
            past: vec![],
            elsewhere: vec![],
            runs: vec![],
            places: vec![],
            list,
            field,
        };
        prepared.live(&mut ada);
        prepared.disk = ada.disk();
        let runs = prepared.runs.iter().map(|run| Run::decode(run).expect("whole"));
        prepared.places = runs.flat_map(Run::into_events).map(|event| event.reference()).collect();
        prepared
    }

    /// What came to pass, there and elsewhere.
    fn live(&mut self, ada: &mut Member) {
        let admitted = [(bob(), Role::Writer), (cem(), Role::Writer), (dan(), Role::Manager)];
        admitted.iter().for_each(|(key, role)| admit(ada, key, *role));
        assert!(self.write(ada, 1, "at first".into()));
        self.past.push(Arc::new(ada.table()));

        let begin = ada.core.store().next_arrival();
        let elsewhere = |key: SecretKey| Member::open(key, self.workspace, ada.disk());
        let [mut bob, mut bob_again, mut cem, mut dan] = [bob(), super::prepared::bob(), cem(), dan()].map(elsewhere);
        for (member, texts) in [(&mut bob, 6), (&mut bob_again, 3), (&mut cem, 3)] {
            for text in 0..texts {
                assert!(self.write(member, text % 4, format!("{text} of {texts}")));
            }
        }
        admit(&mut dan, &eve(), Role::Writer);
        let mut eve = Member::open(eve(), self.workspace, dan.disk());
        assert!(self.write(&mut eve, 1, "from Eve".into()));

        let received = |run: Vec<u8>| tandem_storage::take::Received::verify(run).expect("whole");
        ada.takes(&cem.runs_from(begin).into_iter().take(1).map(received).collect::<Vec<_>>());
        ada.does(Command::Members(MemberChange::Remove(cem.device()))).expect("allowed");
        self.past.push(Arc::new(ada.table()));
        for record in 10..18 {
            assert!(self.write(ada, record, "long ".repeat(LONG_BYTES / 5)));
        }
        assert!(self.write(ada, 1, "at last".into()));

        self.runs = ada.runs_from(0);
        for member in [&bob, &bob_again, &cem, &eve] {
            self.runs.extend(member.runs_from(begin));
            self.elsewhere.push(member.table());
        }
        let model = Run::decode(&bob.runs_from(begin)[0]).expect("whole").into_events().remove(0);
        // Somebody whom nobody named, and what belongs to another workspace.
        let chain = ChainId { device: stranger().device(), ..model.header().chain };
        self.runs.push(signed(&model, Header { chain, seq: 0, prev: None, ..model.header().clone() }, &stranger()));
        let elsewhere = WorkspaceId([9; 32]);
        self.runs.push(signed(
            &model,
            Header { workspace: elsewhere, ..model.header().clone() },
            &super::prepared::bob(),
        ));
    }
}

fn admit(by: &mut Member, key: &SecretKey, role: Role) {
    let device: DeviceKey = key.device();
    let admission = Admission {
        member: MemberId(device.0[..16].try_into().expect("16 bytes")),
        name: format!("member {}", device.0[0]),
        device,
        role,
        invited: None,
        approved: true,
    };
    by.does(Command::Members(MemberChange::Admit(admission))).expect("allowed");
}

fn signed(model: &Event, header: Header, key: &SecretKey) -> Vec<u8> {
    let event = Event::new(header, model.payload().clone()).expect("well formed");
    Run::sign(vec![event], key).expect("one event").encode()
}

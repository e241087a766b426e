//! What people do about refusals, and about what only servers can hold them to.

use super::peer::Peer;
use crate::{
    chance::{Ratio, Stream},
    workload,
};
use tandem_actors::{Command, command::Resend};
use tandem_storage::{Reader, engine::Engine};
use tandem_wire::{
    Act, CellKey, EventRef, MemberId, Target, Value,
    design::{BaseType, Property},
};

/// Of the refusals that are listed first, one is answered.
const LOOKED_AT: usize = 12;
/// How often a value is put right as it is sent again.
const PUT_RIGHT: Ratio = Ratio(3, 4);

/// A pattern that some texts have, and some lack.
const FEW: &str = "[aeiou1-5]";

/// A refusal that the peer's node lists.
pub(super) fn listed(stream: &mut Stream, peer: &Peer) -> Option<EventRef> {
    let store = peer.store()?;
    let snapshot = store.engine().snapshot();
    let listed = store.fold().refused(&snapshot, None).take(LOOKED_AT);
    let listed: Vec<EventRef> = listed.map(|refused| refused.expect("memory can be read").1.event).collect();
    stream.pick(&listed).copied()
}

/// An answer to a refusal that the peer's node lists.
pub(super) fn draw(stream: &mut Stream, peer: &Peer, members: usize) -> Option<Command> {
    let event = listed(stream, peer)?;
    Some(match stream.below(10) {
        0..=6 => {
            let values = values(stream, peer, &event);
            Command::Resend(Resend { event, values, with_dependants: stream.happens(Ratio(1, 2)), actor: None })
        }
        7 | 8 => Command::Discard(event),
        _ => Command::HandOn { event, to: MemberId([stream.below(members as u64 - 1) as u8; 16]) },
    })
}

/// Other values for the cells that the event sets.
fn values(stream: &mut Stream, peer: &Peer, event: &EventRef) -> Vec<(CellKey, Value)> {
    let store = peer.store().expect("up");
    let reader = Reader::new(store.engine().snapshot(), store.views());
    let event = reader.event(event).expect("memory can be read").expect("a refused event is here").event;
    let design = peer.store().expect("up").fold().design().clone();
    let mut values = Vec::new();
    for op in &event.header().ops {
        let (Act::Set, Target::Cell(cell)) = (&op.act, &op.target) else { continue };
        let base = design.field_type(cell.field).and_then(|of| of.base());
        if let Some(base) = base.filter(|_| stream.happens(PUT_RIGHT)) {
            values.push((cell.clone(), workload::value(stream, base)));
        }
    }
    values
}

/// Makes a field unique or required, or bounds it, or lets it be so no longer.
pub(super) fn constrain(stream: &mut Stream, peer: &Peer) -> Option<Command> {
    let design = peer.store()?.fold().design().clone();
    let fields = design.lists().flat_map(|list| design.fields(list)).filter(|field| {
        let of = design.field_type(*field).filter(|of| !of.many).and_then(|of| of.base());
        matches!(of, Some(BaseType::Text | BaseType::Int))
    });
    let fields: Vec<_> = fields.collect();
    let field = *stream.pick(&fields)?;
    let is_text = design.field_type(field).and_then(|of| of.base()) == Some(BaseType::Text);
    let holds = stream.happens(Ratio(1, 2));
    let (property, value) = match stream.below(8) {
        0..=3 => (Property::Unique, Value::Bool(holds)),
        4 | 5 => (Property::Required, Value::Bool(holds)),
        _ if !holds => (if is_text { Property::Pattern } else { Property::Max }, Value::Null),
        _ if is_text => (Property::Pattern, Value::Text(FEW.into())),
        _ => (Property::Max, Value::Int(i64::from(stream.below(4) as u8))),
    };
    Some(Command::Put { element: field.into(), property, value })
}

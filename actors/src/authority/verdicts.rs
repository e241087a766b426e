//! A sitting's decisions, as ops of verdict events.

use super::judge::Ruling;
use std::collections::BTreeMap;
use tandem_wire::{
    Act, ChainId, Event, EventRef, Op, OpRef, Outcome, RefusalText, Target, Verdict, limits::VERDICT_EVENTS_MAX,
};

/// An op with its body.
type OpWithBody = (Op, Vec<u8>);

/// Bytes of the ops of one verdict event, with their bodies: far within the limit of an event.
const EVENT_OPS_BYTES_MAX: usize = 32 * 1024;
/// What an op takes besides its body.
const OP_BYTES: usize = 192;

/// Puts decisions into ops; each of the lists is one event's. Control events keep the order in which they were decided:
/// it is theirs from then on. Of data events nobody asks, so that those of one chain share an op where they can.
#[derive(Debug, Default)]
pub struct Verdicts {
    events: Vec<Vec<OpWithBody>>,
    bytes: usize,
    /// By chain: where its last range of accepted events is, and that range's end.
    open: BTreeMap<ChainId, (OpPlace, EventRef)>,
}

/// Event and op.
type OpPlace = (usize, usize);

impl Verdicts {
    /// Adds the decision on one event.
    pub fn push(&mut self, term: OpRef, event: &Event, ruling: Ruling) {
        let outcome = match &ruling {
            Ruling::Accept => Outcome::Accept,
            Ruling::Refuse { code, .. } => Outcome::Refuse(*code),
        };
        if outcome == Outcome::Accept && self.extend(term, event) {
            return;
        }
        let body = match ruling {
            Ruling::Accept => Vec::new(),
            Ruling::Refuse { message, blame, .. } => {
                let text = RefusalText { message, blame: super::judge::within_limits(blame) };
                postcard::to_allocvec(&text).expect("a vector takes all bytes")
            }
        };
        let verdict = Verdict { term, last: event.reference(), count: 1, outcome };
        let op = Op { target: Target::Workspace, preds: vec![], act: Act::Verdict(Box::new(verdict)) };
        self.bytes += OP_BYTES + body.len();
        if self.events.is_empty() || self.bytes > EVENT_OPS_BYTES_MAX {
            self.events.push(Vec::new());
            self.bytes = OP_BYTES + body.len();
        }
        let ops = self.events.last_mut().expect("just made");
        ops.push((op, body));
        let op = ops.len() - 1;
        let (at, end) = ((self.events.len() - 1, op), event.reference());
        match outcome {
            Outcome::Accept => drop(self.open.insert(event.header().chain, (at, end))),
            Outcome::Refuse(_) => drop(self.open.remove(&event.header().chain)),
        }
    }

    /// The ops of each event.
    pub fn into_events(self) -> Vec<Vec<OpWithBody>> {
        self.events
    }

    /// Takes an accepted event into the range before it, if it is the next of its chain.
    fn extend(&mut self, term: OpRef, event: &Event) -> bool {
        let header = event.header();
        let Some((at, end)) = self.open.get(&header.chain).copied() else { return false };
        let is_last = at.0 + 1 == self.events.len() && at.1 + 1 == self.events[at.0].len();
        let follows = header.seq == end.seq + 1 && header.prev == Some(end.id);
        if !follows || (header.chain.is_control() && !is_last) {
            return false;
        }
        let Act::Verdict(verdict) = &mut self.events[at.0][at.1].0.act else { unreachable!("verdicts") };
        if verdict.term != term || verdict.count >= VERDICT_EVENTS_MAX {
            return false;
        }
        (verdict.last, verdict.count) = (event.reference(), verdict.count + 1);
        self.open.insert(header.chain, (at, event.reference()));
        true
    }
}

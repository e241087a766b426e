//! The world of one seed with real actors.

use super::{clock, faults::Faults, member::Member, wires::Wires};
use crate::{
    chance::{Ratio, Stream},
    checks::Violation,
    node::WORKSPACE,
    options::Options,
    peers::checks::{events, nothing_is_dropped, views_are_the_naive_fold},
    trace::Trace,
};
use actix::System;
use std::{cell::Cell, collections::BTreeSet, path::Path, rc::Rc, sync::Arc, time::Duration};
use tandem_actors::{Command, NodeError};
use tandem_storage::{
    Store,
    engine::{self, FjallEngine},
};
use tandem_wire::{EventId, Role};
use tempfile::TempDir;
use tokio::{
    task::{JoinHandle, spawn_local},
    time::sleep,
};

/// How often a world has somebody who is removed.
const REMOVES: Ratio = Ratio(1, 2);
/// How often a member joins late.
const LATE: Ratio = Ratio(1, 3);
const LATE_US: u64 = 10_000_000;
/// After the last fault everybody must have everything within so much time, looked for so often.
const HEALED_WITHIN_US: u64 = 180_000_000;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Where files need no disk.
const MEMORY: &str = "/dev/shm";

/// Nodes with real actors, and everything around them.
pub struct World {
    /// What happened.
    pub trace: Trace,
    seed: u64,
    options: Options,
    events: u64,
}

impl World {
    /// Of this seed.
    pub fn new(seed: u64, options: Options) -> Self {
        Self { trace: Trace::default(), seed, options, events: 0 }
    }

    /// Lets everything happen: first things break, then they heal, and everybody must come to have everything.
    pub fn run(&mut self) -> Result<[u8; 32], Violation> {
        let dir = folder().or_else(|error| Violation::of("files-can-be-made", error.to_string()))?;
        let ended = self.play(dir.path())?;
        self.events = ended.check(dir.path()).map_err(|violation| without(dir.path(), violation))?;
        Ok(ended.digest)
    }

    /// Until all nodes are closed; they are in `dir`.
    fn play(&mut self, dir: &Path) -> Result<Ended, Violation> {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().expect("a runtime can be made")
        };
        let system = System::with_tokio_rt(runtime);
        let wires = Wires::new(Stream::of(self.seed, "net"));
        let played = system.block_on(play(self.seed, self.options, dir, wires.clone()));
        self.trace = wires.take_trace();
        played.map_err(|violation| without(dir, violation))
    }

    /// How many events the founder's log holds.
    pub fn events(&self) -> u64 {
        self.events
    }
}

/// How a world ended.
struct Ended {
    digest: [u8; 32],
    /// What each member's node has acknowledged.
    kept: Vec<BTreeSet<EventId>>,
    removed: Option<usize>,
}

async fn play(seed: u64, options: Options, dir: &Path, wires: Wires) -> Result<Ended, Violation> {
    let mut shape = Stream::of(seed, "shape");
    clock::begin(Stream::of(seed, "outside"));
    let count = 3 + shape.below(3) as usize;
    let members: Vec<Rc<Member>> =
        (0..count).map(|at| Rc::new(Member::new(at, dir.join(at.to_string()), wires.clone()))).collect();
    for member in &members {
        works(member.open().await)?;
    }
    works(members[0].found().await)?;
    let each = u64::from(options.commands) / count as u64;
    let writing: Vec<JoinHandle<()>> = members
        .iter()
        .map(|member| {
            let (member, founder) = (member.clone(), members[0].clone());
            let stream = Stream::of(seed, &format!("workload of n{}", member.at));
            let late_us = if shape.happens(LATE) { shape.below(LATE_US) } else { 0 };
            spawn_local(async move {
                if member.at > 0 {
                    sleep(Duration::from_micros(late_us)).await;
                    member.join(&founder, Role::Writer).await;
                }
                member.write(stream, each).await;
            })
        })
        .collect();
    let (over, removed) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
    let faults = Faults {
        members: members.clone(),
        wires: wires.clone(),
        stream: Stream::of(seed, "faults"),
        over: over.clone(),
        removed: removed.clone(),
        removes: shape.happens(REMOVES),
    };
    let breaking = spawn_local(faults.run());
    for member in writing {
        member.await.or_else(|error| Violation::of("nothing-panics", error.to_string()))?;
    }
    over.set(true);
    works(breaking.await.or_else(|error| Violation::of("nothing-panics", error.to_string()))?)?;
    wires.heal();
    wires.line(0, "healed", "");
    let staying: Vec<&Rc<Member>> = members.iter().filter(|member| Some(member.at) != removed.get()).collect();
    let digest = come_together(&staying).await?;
    if let Some(at) = removed.get() {
        learns_of_its_removal(&members[at]).await?;
    }
    wires.line(0, "together", &crate::trace::short(&digest));
    for member in &members {
        works(member.close().await)?;
    }
    let kept = members.iter().map(|member| member.kept.borrow().clone()).collect();
    Ok(Ended { digest, kept, removed: removed.get() })
}

/// Waits until all members show the same and know it.
async fn come_together(members: &[&Rc<Member>]) -> Result<[u8; 32], Violation> {
    let end_us = clock::now_us() + HEALED_WITHIN_US;
    loop {
        let founder = members[0].handle().map(|handle| handle.digest());
        let Some(Ok(founder)) = founder else { return Violation::of("nobody-stops", "the founder has stopped") };
        let mut missing = None;
        for member in members {
            missing = missing.or(member.missing(founder)?);
        }
        match missing {
            None => return Ok(founder),
            Some(missing) if clock::now_us() > end_us => return Violation::of("everybody-has-everything", missing),
            Some(_) => sleep(LOOK_EVERY).await,
        }
    }
}

/// P5: who was removed is told, and changes nothing any more.
async fn learns_of_its_removal(member: &Member) -> Result<(), Violation> {
    let end_us = clock::now_us() + HEALED_WITHIN_US;
    let Some(handle) = member.handle() else { return Violation::of("nobody-stops", "the removed member has stopped") };
    while handle.fold().role_of(handle.device()).is_some() {
        if clock::now_us() > end_us {
            return Violation::of("the-removed-are-told", format!("n{} takes itself for a member", member.at));
        }
        sleep(LOOK_EVERY).await;
    }
    let list = Command::CreateList { name: "by nobody".into(), fields: vec![] };
    match handle.commit_async(list).await {
        Err(error) if error.code() == "role" => Ok(()),
        answer => Violation::of("the-removed-change-nothing", format!("n{}: {answer:?}", member.at)),
    }
}

impl Ended {
    /// Looks at what is on the disks. Gives the number of events in the founder's log.
    fn check(&self, dir: &Path) -> Result<u64, Violation> {
        let mut count = 0;
        for at in 0..self.kept.len() {
            let store = works(store_in(&dir.join(at.to_string())))?;
            let there: BTreeSet<EventId> = events(&**store.engine()).iter().map(|event| event.id()).collect();
            if store.fold().terms().genesis.is_none() {
                return Violation::of("everybody-has-everything", format!("n{at} has no workspace"));
            }
            if at == 0 {
                count = there.len() as u64;
            }
            // What was acknowledged by whom this member is to have heard of: a removed one by itself only.
            let is_concerned = |by: usize| by == at || (Some(by) != self.removed && Some(at) != self.removed);
            let kept = self.kept.iter().enumerate().filter(|(by, _)| is_concerned(*by));
            for (by, kept) in kept {
                if let Some(lost) = kept.difference(&there).next() {
                    let details = format!("event {lost:?} of n{by} is not in the log of n{at}");
                    return Violation::of("acknowledged-is-kept", details);
                }
            }
            views_are_the_naive_fold(&store)?;
            nothing_is_dropped(&store)?;
            let verified = works(store.verify(&mut |_| {}).map_err(NodeError::from))?;
            if !verified.is_clean() {
                return Violation::of("views-are-a-rebuilds", format!("{verified:?} at n{at}"));
            }
        }
        Ok(count)
    }
}

fn store_in(dir: &Path) -> Result<Store<FjallEngine>, NodeError> {
    let options = engine::Options { cache_bytes: 1 << 20, write_buffer_bytes: 1 << 20 };
    Ok(Store::open(Arc::new(FjallEngine::open(dir, options)?), WORKSPACE)?)
}

fn works<T>(done: Result<T, NodeError>) -> Result<T, Violation> {
    done.or_else(|error| Violation::of("nobody-stops", error.to_string()))
}

/// The folder is another one each time.
fn without(dir: &Path, violation: Violation) -> Violation {
    Violation { details: violation.details.replace(&dir.display().to_string(), ""), ..violation }
}

fn folder() -> std::io::Result<TempDir> {
    tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_look_sees_what_is_lost() {
        let dir = folder().unwrap();
        let mut world = World::new(5, Options { commands: 30, ..Options::actors() });
        let ended = world.play(dir.path()).unwrap();
        assert!(ended.check(dir.path()).unwrap() > 10);
        let mut wrong = ended;
        wrong.kept[1].insert(EventId([7; 32]));
        assert_eq!(wrong.check(dir.path()).unwrap_err().check, "acknowledged-is-kept");
    }
}

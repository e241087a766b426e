//! A disk, as a recording of file operations makes it, and what a power cut leaves of it.
//!
//! A synced file keeps its bytes. Of what was written since, any sector may be lost or kept. Names are made, changed
//! and removed in order, as file systems with a journal do, and surely when their folder was synced; syncing a file
//! does nothing for its name.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    rc::Rc,
};

const SECTOR: u64 = 512;
const PAGE: u64 = 4096;

/// One operation of a recording.
#[derive(Debug, Clone)]
pub enum Op {
    Open {
        fd: u64,
        name: String,
        is_new: bool,
        truncates: bool,
    },
    Close {
        fd: u64,
    },
    Dup {
        fd: u64,
        to: u64,
    },
    Write {
        fd: u64,
        at: u64,
        bytes: Rc<[u8]>,
    },
    SetLen {
        fd: u64,
        len: u64,
    },
    Sync {
        fd: u64,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        name: String,
    },
    MakeFolder {
        name: String,
    },
    /// Something was said on the standard output.
    Said {
        text: String,
    },
}

/// The operations in a file that `record.c` wrote.
pub fn read(path: &Path) -> Vec<Op> {
    let bytes = fs::read(path).expect("the recording");
    let mut rest = bytes.as_slice();
    let mut ops = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        rest = after;
        let mut number = || take(&mut rest, 8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap())).unwrap();
        let (a, b) = (number(), number());
        let mut text = || {
            let len = u32::from_ne_bytes(take(&mut rest, 4).unwrap().try_into().unwrap());
            take(&mut rest, len as usize).expect("the recording is whole").to_vec()
        };
        let (x, y) = (text(), text());
        let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("names are text");
        ops.push(match kind {
            b'O' => Op::Open { fd: a, name: name(&x), is_new: b & 1 != 0, truncates: b & 2 != 0 },
            b'C' => Op::Close { fd: a },
            b'D' => Op::Dup { fd: a, to: b },
            b'W' => Op::Write { fd: a, at: b, bytes: x.into() },
            b'T' => Op::SetLen { fd: a, len: b },
            b'S' => Op::Sync { fd: a },
            b'R' => Op::Rename { from: name(&x), to: name(&y) },
            b'U' => Op::Remove { name: name(&x) },
            b'M' => Op::MakeFolder { name: name(&x) },
            b'A' => Op::Said { text: name(&x) },
            other => panic!("an operation {other:?}"),
        });
    }
    ops
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}

/// Decides what a power cut keeps.
pub trait Chance {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u64) -> u64;
}

/// How much of what is not synced is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    Everything,
    /// Each file up to some write, which is torn.
    Start,
    /// Each sector or not.
    Some,
}

#[derive(Debug, Clone, Default)]
struct Content {
    len: u64,
    pages: BTreeMap<u64, Rc<[u8]>>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Rc<[u8]>),
    SetLen(u64),
}

#[derive(Debug, Default)]
struct Body {
    synced: Content,
    since: Vec<Change>,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Debug, Clone)]
enum Naming {
    Make(String, Node),
    Rename(String, String),
    Remove(String),
}

type Names = BTreeMap<String, Node>;

/// A folder on a disk, operation after operation.
#[derive(Default)]
pub struct Disk {
    bodies: Vec<Body>,
    names: Names,
    /// As they surely are.
    synced_names: Names,
    /// What happened to them since.
    since: Vec<Naming>,
    open: BTreeMap<u64, (String, Option<usize>)>,
}

impl Disk {
    /// Does one operation.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Open { fd, name, is_new, truncates } => {
                if *is_new {
                    self.bodies.push(Body::default());
                    self.name(Naming::Make(name.clone(), Node::File(self.bodies.len() - 1)));
                }
                let body = match self.names.get(name) {
                    Some(Node::File(body)) => Some(*body),
                    Some(Node::Folder) | None => None,
                };
                if let Some(body) = body.filter(|_| *truncates && !is_new) {
                    self.bodies[body].since.push(Change::SetLen(0));
                }
                self.open.insert(*fd, (name.clone(), body));
            }
            Op::Close { fd } => drop(self.open.remove(fd)),
            Op::Dup { fd, to } => {
                let same = self.open[fd].clone();
                self.open.insert(*to, same);
            }
            Op::Write { fd, at, bytes } => self.body(*fd).since.push(Change::Write(*at, bytes.clone())),
            Op::SetLen { fd, len } => self.body(*fd).since.push(Change::SetLen(*len)),
            Op::Sync { fd } => match self.open[fd].clone() {
                (_, Some(body)) => {
                    let body = &mut self.bodies[body];
                    let changes = std::mem::take(&mut body.since);
                    changes.iter().for_each(|change| body.synced.apply(change));
                }
                (folder, None) => self.sync_names(&folder),
            },
            Op::Rename { from, to } => self.name(Naming::Rename(from.clone(), to.clone())),
            Op::Remove { name } => self.name(Naming::Remove(name.clone())),
            Op::MakeFolder { name } => self.name(Naming::Make(name.clone(), Node::Folder)),
            Op::Said { .. } => {}
        }
    }

    fn body(&mut self, fd: u64) -> &mut Body {
        let (name, body) = &self.open[&fd];
        &mut self.bodies[body.unwrap_or_else(|| panic!("{name} is no file"))]
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.since.push(naming);
    }

    /// The last change in `folder` is on the disk, and so is all before it.
    fn sync_names(&mut self, folder: &str) {
        let last = self.since.iter().rposition(|naming| naming.is_in(folder));
        for naming in self.since.drain(..last.map_or(0, |last| last + 1)) {
            naming.apply(&mut self.synced_names);
        }
    }

    /// Writes into the empty folder `to` what a power cut leaves now.
    pub fn cut(&self, keep: Keep, chance: &mut dyn Chance, to: &Path) {
        let namings = match keep {
            Keep::Nothing => 0,
            Keep::Everything => self.since.len(),
            Keep::Start | Keep::Some => chance.below(self.since.len() as u64 + 1) as usize,
        };
        let mut names = self.synced_names.clone();
        self.since[..namings].iter().for_each(|naming| naming.apply(&mut names));
        for (name, node) in &names {
            match node {
                Node::Folder => fs::create_dir_all(to.join(name)).unwrap(),
                Node::File(body) => self.bodies[*body].cut(keep, chance).write(&to.join(name)),
            }
        }
    }

    /// Asserts that with nothing lost the disk is what `folder` is: the recording missed nothing.
    pub fn assert_is(&self, folder: &Path) {
        let mut found = Vec::new();
        list(folder, "", &mut found);
        let expect: Vec<&String> = self.names.keys().collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expect, "names");
        for (name, node) in &self.names {
            let Node::File(body) = node else { continue };
            let body = &self.bodies[*body];
            let mut content = body.synced.clone();
            body.since.iter().for_each(|change| content.apply(change));
            content.assert_is(&folder.join(name));
        }
    }
}

fn list(folder: &Path, below: &str, found: &mut Vec<String>) {
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        let name = format!("{below}{}", file.file_name().to_str().unwrap());
        if file.path().is_dir() {
            list(&file.path(), &format!("{name}/"), found);
        }
        found.push(name);
    }
    if below.is_empty() {
        found.sort();
    }
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Make(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename(from, to) => {
                let below = format!("{from}/");
                let moved: Vec<String> =
                    names.keys().filter(|name| *name == from || name.starts_with(&below)).cloned().collect();
                for name in moved {
                    let node = names.remove(&name).expect("just seen");
                    names.insert(format!("{to}{}", &name[from.len()..]), node);
                }
            }
        }
    }

    fn is_in(&self, folder: &str) -> bool {
        let parent = |name: &str| name.rsplit_once('/').map_or("", |(parent, _)| parent) == folder;
        match self {
            Self::Make(name, _) | Self::Remove(name) => parent(name),
            Self::Rename(from, to) => parent(from) || parent(to),
        }
    }
}

impl Body {
    fn cut(&self, keep: Keep, chance: &mut dyn Chance) -> Content {
        let mut content = self.synced.clone();
        let whole = match keep {
            Keep::Nothing | Keep::Some => 0,
            Keep::Everything => self.since.len(),
            Keep::Start => chance.below(self.since.len() as u64 + 1) as usize,
        };
        self.since[..whole].iter().for_each(|change| content.apply(change));
        match (keep, self.since.get(whole)) {
            (Keep::Start, Some(Change::Write(at, bytes))) => {
                let torn = chance.below(bytes.len() as u64 + 1) as usize;
                content.write_at(*at, &bytes[..torn]);
            }
            (Keep::Some, _) => {
                for change in &self.since {
                    content.apply_some(change, chance);
                }
            }
            _ => {}
        }
        content
    }
}

impl Content {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(at, bytes) => self.write_at(*at, bytes),
            Change::SetLen(len) => self.set_len(*len),
        }
    }

    fn apply_some(&mut self, change: &Change, chance: &mut dyn Chance) {
        match change {
            Change::SetLen(len) if chance.below(2) == 0 => self.set_len(*len),
            Change::SetLen(_) => {}
            Change::Write(at, bytes) => {
                let (mut from, end) = (*at, *at + bytes.len() as u64);
                while from < end {
                    let to = ((from / SECTOR + 1) * SECTOR).min(end);
                    if chance.below(2) == 0 {
                        self.write_at(from, &bytes[(from - at) as usize..(to - at) as usize]);
                    }
                    from = to;
                }
            }
        }
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.pages.split_off(&len.div_ceil(PAGE));
            if let Some(last) = self.pages.get_mut(&(len / PAGE)) {
                let mut page = last.to_vec();
                page[(len % PAGE) as usize..].fill(0);
                *last = page.into();
            }
        }
        self.len = len;
    }

    fn write_at(&mut self, at: u64, mut bytes: &[u8]) {
        let mut from = at;
        while !bytes.is_empty() {
            let (number, offset) = (from / PAGE, (from % PAGE) as usize);
            let len = bytes.len().min(PAGE as usize - offset);
            let mut page = self.pages.get(&number).map_or_else(|| vec![0; PAGE as usize], |page| page.to_vec());
            page[offset..offset + len].copy_from_slice(&bytes[..len]);
            self.pages.insert(number, page.into());
            bytes = &bytes[len..];
            from += len as u64;
        }
        self.len = self.len.max(from);
    }

    fn write(&self, path: &Path) {
        let mut file = File::create_new(path).unwrap();
        file.set_len(self.len).unwrap();
        for (number, page) in &self.pages {
            file.seek(SeekFrom::Start(number * PAGE)).unwrap();
            let len = (self.len - number * PAGE).min(PAGE);
            file.write_all(&page[..len as usize]).unwrap();
        }
    }

    fn assert_is(&self, path: &Path) {
        let mut file = File::open(path).unwrap();
        assert_eq!(file.metadata().unwrap().len(), self.len, "length of {}", path.display());
        let mut page = vec![0; PAGE as usize];
        for number in 0..self.len.div_ceil(PAGE) {
            let len = (self.len - number * PAGE).min(PAGE) as usize;
            file.read_exact(&mut page[..len]).unwrap();
            let same = match self.pages.get(&number) {
                Some(expect) => page[..len] == expect[..len],
                None => page[..len].iter().all(|byte| *byte == 0),
            };
            assert!(same, "page {number} of {}", path.display());
        }
    }
}

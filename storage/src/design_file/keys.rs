//! Which elements of a design those of a file are.

use super::{DesignFault, spec::*};
use crate::fold::Design;
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{
    ElementId, Value,
    design::{ElementKind, Property},
    limits::NAME_BYTES_MAX,
};

/// Most lists of a design, most elements of one kind in a list, and most choices of a field.
const LISTS_MAX: usize = 500;
const ELEMENTS_MAX: usize = 500;
const CHOICES_MAX: usize = 2_000;

/// An element of a file, by its name and what it is part of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What it is.
    pub kind: ElementKind,
    /// The list that it is, or is in.
    pub list: String,
    /// Of a choice: its field.
    pub field: String,
    /// Its name; of a list, empty.
    pub name: String,
}

impl Key {
    /// A list.
    pub fn list(list: &str) -> Self {
        Self { kind: ElementKind::List, list: list.into(), field: String::new(), name: String::new() }
    }

    /// A field, view, form or rule.
    pub fn of(kind: ElementKind, list: &str, name: &str) -> Self {
        Self { kind, list: list.into(), field: String::new(), name: name.into() }
    }

    /// A choice.
    pub fn choice(list: &str, field: &str, name: &str) -> Self {
        Self { kind: ElementKind::Choice, list: list.into(), field: field.into(), name: name.into() }
    }

    /// What it is part of.
    pub fn parent(&self) -> Option<Self> {
        match self.kind {
            ElementKind::List => None,
            ElementKind::Choice => Some(Self::of(ElementKind::Field, &self.list, &self.field)),
            _of_a_list => Some(Self::list(&self.list)),
        }
    }

    /// An id for as long as it is not defined.
    pub fn stand_in(&self) -> ElementId {
        let bytes = postcard::to_allocvec(&(self.kind.number(), &self.list, &self.field, &self.name));
        let hash = blake3::derive_key("tandem 1 design: stand-in", &bytes.expect("a vector takes all bytes"));
        ElementId(*hash.first_chunk().expect("32 bytes"))
    }

    /// What people call it.
    pub fn place(&self) -> String {
        match self.kind {
            ElementKind::List => format!("list {}", self.list),
            ElementKind::Field => format!("field {}.{}", self.list, self.name),
            ElementKind::Choice => format!("choice {}.{}.{}", self.list, self.field, self.name),
            ElementKind::View => format!("view {}.{}", self.list, self.name),
            ElementKind::Form => format!("form {}.{}", self.list, self.name),
            ElementKind::Rule => format!("rule {}.{}", self.list, self.name),
        }
    }
}

/// The elements of a file, found in a design or new.
#[derive(Debug, Clone)]
pub(super) struct Matched {
    found: BTreeMap<Key, ElementId>,
    /// Not in the design yet; those that others are part of before these.
    pub(super) new: Vec<Key>,
    drops: Vec<ElementId>,
}

/// An element of a file with the names that it had.
struct Named<'f> {
    key: Key,
    was: &'f [String],
}

impl Matched {
    pub(super) fn of(design: &Design, file: &DesignFile) -> Result<Self, Vec<DesignFault>> {
        let mut matched = Self { found: BTreeMap::new(), new: Vec::new(), drops: Vec::new() };
        let mut faults = Vec::new();
        if file.format != DESIGN_FORMAT {
            let message = format!("format is {}, and this version reads {DESIGN_FORMAT}", file.format);
            return Err(vec![DesignFault::new("the file", message)]);
        }
        let lists = file.lists.iter().map(|list| (Key::list(&list.name), list.was.as_slice()));
        matched.children(design, None, lists, LISTS_MAX, &mut faults);
        for list in &file.lists {
            let parent = matched.found.get(&Key::list(&list.name)).copied();
            let key = |kind, name: &str| Key::of(kind, &list.name, name);
            let fields = list.fields.iter().map(|it| (key(ElementKind::Field, &it.name), it.was.as_slice()));
            let views = list.views.iter().map(|it| (key(ElementKind::View, &it.name), it.was.as_slice()));
            let forms = list.forms.iter().map(|it| (key(ElementKind::Form, &it.name), it.was.as_slice()));
            let rules = list.rules.iter().map(|it| (key(ElementKind::Rule, &it.name), it.was.as_slice()));
            matched.children(design, Some(parent), fields, ELEMENTS_MAX, &mut faults);
            matched.children(design, Some(parent), views, ELEMENTS_MAX, &mut faults);
            matched.children(design, Some(parent), forms, ELEMENTS_MAX, &mut faults);
            matched.children(design, Some(parent), rules, ELEMENTS_MAX, &mut faults);
            for field in &list.fields {
                let parent = matched.found.get(&key(ElementKind::Field, &field.name)).copied();
                let choice = |choice: &str| Key::choice(&list.name, &field.name, choice);
                let choices = field.choices.iter().map(|it| (choice(it.name()), it.was()));
                matched.children(design, Some(parent), choices, CHOICES_MAX, &mut faults);
            }
        }
        // Definition by definition: lists, then fields, then what is in them.
        matched.new.sort_by_key(|key| (key.kind != ElementKind::List, key.kind != ElementKind::Field));
        matched.drop_the_rest(design);
        if faults.is_empty() { Ok(matched) } else { Err(faults) }
    }

    /// The element of a key, where it is in the design.
    pub(super) fn id(&self, key: &Key) -> Option<ElementId> {
        self.found.get(key).copied()
    }

    /// What the file does not have any more.
    pub(super) fn drops(&self) -> impl Iterator<Item = (ElementId, Property, Value)> {
        self.drops.iter().map(|element| (*element, Property::Dropped, Value::Bool(true)))
    }

    /// Finds the elements of one kind with one parent; no parent id: that is new itself.
    fn children<'f>(
        &mut self,
        design: &Design,
        parent: Option<Option<ElementId>>,
        all: impl Iterator<Item = (Key, &'f [String])>,
        most: usize,
        faults: &mut Vec<DesignFault>,
    ) {
        let all: Vec<Named<'f>> = all.map(|(key, was)| Named { key, was }).collect();
        if all.len() > most {
            faults.push(DesignFault::new(all[0].key.place(), format!("more than {most} of its kind")));
            return;
        }
        let mut names = BTreeSet::new();
        for named in &all {
            let name = if named.key.kind == ElementKind::List { &named.key.list } else { &named.key.name };
            if let Some(why) = bad_name(name) {
                faults.push(DesignFault::new(named.key.place(), why));
            } else if !names.insert(name.clone()) {
                faults.push(DesignFault::new(named.key.place(), "is the name of two".to_owned()));
            }
        }
        let Some(kind) = all.first().map(|named| named.key.kind) else { return };
        let present: Vec<(ElementId, String, bool)> = match parent {
            Some(None) => Vec::new(),
            Some(Some(parent)) => present(design, kind, Some(parent)),
            None => present(design, kind, None),
        };
        let mut taken = BTreeSet::new();
        // By its own name first, then by an earlier one; then what was dropped under its name.
        type Fits = fn(&Named<'_>, &str, bool) -> bool;
        let rounds: [Fits; 3] = [
            |named, name, dropped| !dropped && name == own_name(named),
            |named, name, dropped| !dropped && named.was.first().is_some_and(|was| was == name),
            |named, name, dropped| dropped && name == own_name(named),
        ];
        for fits in rounds {
            for named in &all {
                if self.found.contains_key(&named.key) {
                    continue;
                }
                let found =
                    present.iter().find(|(id, name, dropped)| !taken.contains(id) && fits(named, name, *dropped));
                if let Some((id, ..)) = found {
                    taken.insert(*id);
                    self.found.insert(named.key.clone(), *id);
                }
            }
        }
        self.new.extend(all.into_iter().map(|named| named.key).filter(|key| !self.found.contains_key(key)));
    }

    fn drop_the_rest(&mut self, design: &Design) {
        let kept: BTreeSet<ElementId> = self.found.values().copied().collect();
        let is_known = |kind| ElementKind::from_number(kind).is_some();
        let gone = design.elements.iter().filter(|(id, element)| {
            let parent_stays = element.parent.is_none_or(|parent| kept.contains(&parent));
            is_known(element.kind) && !element.is_dropped() && parent_stays && !kept.contains(id)
        });
        self.drops = gone.map(|(id, _)| *id).collect();
    }
}

fn own_name<'n>(named: &'n Named<'_>) -> &'n str {
    if named.key.kind == ElementKind::List { &named.key.list } else { &named.key.name }
}

/// The elements of a kind and parent: id, name, and whether it is dropped.
fn present(design: &Design, kind: ElementKind, parent: Option<ElementId>) -> Vec<(ElementId, String, bool)> {
    let all = design.elements.iter().filter(|(_, it)| it.kind == kind.number() && it.parent == parent);
    all.map(|(id, element)| (*id, design.name(*id), element.is_dropped())).collect()
}

fn bad_name(name: &str) -> Option<String> {
    if name.trim().is_empty() {
        return Some("a name is empty".into());
    }
    if name.len() > NAME_BYTES_MAX {
        return Some(format!("a name is longer than {NAME_BYTES_MAX} bytes"));
    }
    name.chars().any(char::is_control).then(|| "a name has a control character in it".into())
}

//! Reading a scenario's file.

use tandem_wire::{
    Role,
    design::{BaseType, FieldType},
};

/// A scenario.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) title: String,
    /// Members with their roles, the owner first, and then the servers.
    pub(super) cast: Vec<(String, Part)>,
    pub(super) lists: Vec<(String, Vec<(String, FieldType)>)>,
    pub(super) rules: Vec<RuleLine>,
    pub(super) steps: Vec<Step>,
}

/// Who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Owner,
    Member(Role),
    Server,
}

/// A rule that a server has from the beginning.
#[derive(Debug, Clone)]
pub(super) struct RuleLine {
    pub(super) server: String,
    pub(super) list: String,
    pub(super) name: String,
    pub(super) check: String,
    pub(super) message: String,
}

/// Something that happens.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) text: String,
}

/// A scenario that cannot be played.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadScript {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl Script {
    pub(super) fn read(text: &str) -> Result<Self, BadScript> {
        let mut script = Self::default();
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        // The text below the title is for readers, up to an empty line.
        for (_, line) in lines.by_ref().take_while(|(_, line)| !line.is_empty()) {
            if let Some(title) = line.strip_prefix("# ") {
                title.clone_into(&mut script.title);
            }
        }
        for (line, text) in lines.take_while(|(_, line)| *line != "---").filter(|(_, line)| !line.is_empty()) {
            if !script.line(text).map_err(|why| BadScript { line, why })? {
                script.steps.push(Step { line, text: text.to_owned() });
            }
        }
        Ok(script)
    }

    /// Whether the line says what there is, and takes it; any other says what happens.
    fn line(&mut self, text: &str) -> Result<bool, String> {
        if let Some(members) = text.strip_prefix("members: ") {
            for member in members.split(", ") {
                let (name, role) = member.trim_end_matches(')').split_once(" (").ok_or("a member is NAME (ROLE)")?;
                let part = match role {
                    "owner" => Part::Owner,
                    "reader" => Part::Member(Role::Reader),
                    "writer" => Part::Member(Role::Writer),
                    "designer" => Part::Member(Role::Designer),
                    "manager" => Part::Member(Role::Manager),
                    other => return Err(format!("{other} is no role")),
                };
                self.cast.push((name.into(), part));
            }
        } else if let Some(servers) = text.strip_prefix("servers: ") {
            self.cast.extend(servers.split(", ").map(|name| (name.to_owned(), Part::Server)));
        } else if let Some(list) = text.strip_prefix("list ") {
            let (name, fields) = list.split_once(": ").ok_or("a list is NAME: FIELD TYPE, …")?;
            let fields = fields.split(", ").map(|field| {
                let (name, base) = field.split_once(' ').ok_or("a field is NAME TYPE")?;
                let base = match base {
                    "text" => BaseType::Text,
                    "int" => BaseType::Int,
                    "reference" => BaseType::Reference,
                    other => return Err(format!("{other} is no type of scenarios")),
                };
                Ok((name.to_owned(), FieldType::one(base)))
            });
            self.lists.push((name.into(), fields.collect::<Result<_, _>>()?));
        } else if let Some(rule) = text.strip_prefix("rule of ") {
            self.rules.push(RuleLine::read(rule)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

impl RuleLine {
    /// `SERVER on LIST, NAME: CHECK, says MESSAGE`
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let form = "a rule is SERVER on LIST, NAME: CHECK, says MESSAGE";
        let (server, rest) = text.split_once(" on ").ok_or(form)?;
        let (list, rest) = rest.split_once(", ").ok_or(form)?;
        let (name, rest) = rest.split_once(": ").ok_or(form)?;
        let (check, message) = rest.rsplit_once(", says ").ok_or(form)?;
        let [server, list, name, check, message] = [server, list, name, check, message].map(str::to_owned);
        Ok(Self { server, list, name, check, message })
    }
}

//! `tandem server`: who judges a workspace, and by which rules.

use super::{
    CliError, Console, Exit,
    args::{BindArgs, Json, RulesCommand, ServerArgs, ServerCommand},
    events::{Authors, when},
    members::{is_start, one},
    names,
    refusals::code_name,
    server_names,
};
use crate::show::{Column, Table, escape};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use tandem_actors::{
    Command, Handle, Node,
    authority::{ListPolicy, Policy, RuleText, Stale, Vocabulary},
    command::ServerChange,
    peer_link::Standing,
    server_link::Report,
};
use tandem_config::{Rules, StaleRule};
use tandem_storage::{
    Query,
    fold::{Design, RecordState, incremental::Fold, terms::Term},
    rule::{RecordChange, Rule},
};
use tandem_wire::{BindingMode, ChainId, DeviceKey, ListId, OpRef, Role, Scope};

/// Records that break a rule are shown up to this number.
const BROKEN_MAX: usize = 20;

pub(super) fn server(
    node: &Node,
    workspace: &Handle,
    args: &ServerArgs,
    console: &mut Console,
) -> Result<Exit, CliError> {
    match &args.command {
        None => list(node, workspace, args.json, console),
        Some(ServerCommand::Bind(bind)) => self::bind(workspace, bind, false, console),
        Some(ServerCommand::Rebind(bind)) => self::bind(workspace, bind, true, console),
        Some(ServerCommand::Unbind { who }) => unbind(workspace, who, console),
        Some(ServerCommand::Code) => {
            let ChainId { device, number } = workspace.office()?.chain;
            console.line(format_args!("{device}.{number}"))?;
            Ok(Exit::Success)
        }
        Some(ServerCommand::Rules(rules)) => match (&rules.command, &rules.file) {
            (Some(RulesCommand::Test { file }), _) => test_rules(node, workspace, file, console),
            (None, Some(file)) => set_rules(node, workspace, file, console),
            (None, None) => show_rules(workspace, args.json, console),
        },
        Some(ServerCommand::Names { file: Some(file) }) => server_names::set(node, workspace, file, console),
        Some(ServerCommand::Names { file: None }) => server_names::show(node, workspace, args.json, console),
        Some(ServerCommand::Console(json)) => self::console(node, workspace, *json, console),
    }
}

fn list(node: &Node, workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let (fold, authors) = (workspace.fold(), Authors::of(workspace));
    let peers: BTreeMap<DeviceKey, Standing> =
        node.peers(workspace.id()).into_iter().map(|peer| (peer.device, peer.standing)).collect();
    let mut table = Table::new([
        Column::text("SERVER"),
        Column::text("JUDGES"),
        Column::text("MODE"),
        Column::text("STATUS"),
        Column::number("OUTBOX"),
    ]);
    let pushes: BTreeMap<OpRef, Vec<Report>> =
        node.servers(workspace.id()).into_iter().map(|server| (server.binding, server.reports)).collect();
    let (mut any, mut last) = (false, Vec::new());
    for term in fold.present_terms() {
        any = true;
        let device = term.chain().device;
        let status = match peers.get(&device) {
            _ if fold.is_at_fault(&term.binding) => "at fault",
            _ if device == node.device() => "this node",
            None | Some(Standing::Greeting) => "offline",
            Some(_) => "linked",
        };
        let waiting = workspace.outbox(&term.binding)?.len();
        let lists = lists_of(fold.design(), &term.bind.scope);
        let mode = if term.bind.mode == BindingMode::Binding { "binding" } else { "mirror" };
        match json.json {
            true => console.line(json!({
                "server": device.to_string(),
                "name": authors.name(device),
                "binding": binding_id(&term.binding),
                "lists": lists,
                "mode": mode,
                "status": status,
                "at_fault": fold.is_at_fault(&term.binding),
                "outbox": waiting,
                "pushes": pushes.get(&term.binding).into_iter().flatten().map(report_json).collect::<Vec<_>>(),
            }))?,
            false => {
                let judges = lists.map_or_else(|| "everything".to_owned(), |lists| lists.join(", "));
                table.row([authors.name(device), judges, mode.to_owned(), status.to_owned(), waiting.to_string()]);
                let report = pushes.get(&term.binding).and_then(|reports| reports.last());
                last.extend(report.map(|report| format!("{}: {}", authors.name(device), report_text(report))));
            }
        }
    }
    match (any, json.json) {
        (_, true) => {}
        (true, false) => {
            console.table(table)?;
            last.iter().try_for_each(|report| console.line(escape(report)))?;
        }
        (false, false) => {
            console.line("nobody judges this workspace; the owner binds a server with `tandem server bind`")?
        }
    }
    for term in fold.present_terms().filter(|term| fold.is_at_fault(&term.binding)) {
        let name = authors.name(term.chain().device);
        console.complain(&format!(
            "{} said two things about one change, or wrote two chains: what it says since counts for nothing until the \
             owner binds it anew, or another server, with `tandem server rebind`",
            escape(&name)
        ));
    }
    if !workspace.office()?.unproved.is_empty() {
        console.complain(&unproved(workspace)?);
    }
    Ok(Exit::Success)
}

/// What became of what was pushed last.
fn report_text(report: &Report) -> String {
    let Report { since_ms, until_ms, accepted, refused, waiting } = report;
    let ending = match until_ms {
        Some(until_ms) => format!("; done {}", when(*until_ms)),
        None => format!(", {waiting} waiting"),
    };
    format!("pushed since {}: {accepted} accepted, {refused} refused{ending}", when(*since_ms))
}

fn report_json(report: &Report) -> serde_json::Value {
    let Report { since_ms, until_ms, accepted, refused, waiting } = report;
    json!({ "since_ms": since_ms, "until_ms": until_ms, "accepted": accepted, "refused": refused, "waiting": waiting })
}

/// What an operator has to know whose node cannot prove how its chain went on.
fn unproved(workspace: &Handle) -> Result<String, CliError> {
    let ChainId { device, number } = workspace.office()?.chain;
    Ok(format!(
        "this node was bound, but cannot prove that its copy is not older than what it once judged: it judges nothing \
         until the owner does `tandem server rebind {device}.{number}`"
    ))
}

fn binding_id(binding: &OpRef) -> String {
    binding.tag.to_string()[..8].to_owned()
}

/// The names of the lists; nothing for the whole workspace.
fn lists_of(design: &Design, scope: &Scope) -> Option<Vec<String>> {
    match scope {
        Scope::Workspace => None,
        Scope::Lists(lists) => Some(lists.iter().map(|list| design.name(*list)).collect()),
    }
}

fn bind(workspace: &Handle, args: &BindArgs, replaces: bool, console: &mut Console) -> Result<Exit, CliError> {
    let fold = workspace.fold();
    let authority = chain(workspace, &fold, &args.who)?;
    let lists = match args.lists.is_empty() {
        true => None,
        false => {
            Some(args.lists.iter().map(|name| names::list(fold.design(), name.trim())).collect::<Result<Vec<_>, _>>()?)
        }
    };
    let mode = if args.mirror { BindingMode::Mirror } else { BindingMode::Binding };
    let is_replaced = |term: &&Term| {
        let concerns = |list: &ListId| term.covers(Some(*list));
        let overlaps = lists.as_ref().is_none_or(|lists| lists.iter().any(concerns));
        let is_its = term.chain().device == authority.device;
        term.bind.mode == mode && overlaps && (mode == BindingMode::Binding || is_its)
    };
    let replaces: Vec<OpRef> = match replaces {
        true => fold.present_terms().filter(is_replaced).map(|term| term.binding).collect(),
        false => Vec::new(),
    };
    let lost = |term: &&Term| !covers(&lists.clone().map_or(Scope::Workspace, Scope::Lists), &term.bind.scope);
    if let Some(term) = fold.present_terms().filter(|term| replaces.contains(&term.binding)).find(lost) {
        let judges =
            lists_of(fold.design(), &term.bind.scope).map_or_else(|| "everything".into(), |lists| lists.join(", "));
        let who = Authors::of(workspace).name(term.chain().device);
        return Err(CliError::Usage(format!(
            "{who} judges {judges} now, and nobody would judge the rest of it: name all of its lists, or unbind it first"
        )));
    }
    let lists_text = lists_of(fold.design(), &lists.clone().map_or(Scope::Workspace, Scope::Lists));
    workspace.commit(Command::Servers(ServerChange::Bind { authority, lists, mode, replaces }))?;
    let what = lists_text.map_or_else(|| "this workspace".to_owned(), |lists| lists.join(", "));
    let how = if args.mirror { "mirrors" } else { "judges" };
    console.line(format_args!("{} {how} {} from now on", escape(&args.who), escape(&what)))?;
    Ok(Exit::Success)
}

/// Whether a scope has all of another one.
fn covers(scope: &Scope, other: &Scope) -> bool {
    match (scope, other) {
        (Scope::Workspace, _) => true,
        (Scope::Lists(_), Scope::Workspace) => false,
        (Scope::Lists(lists), Scope::Lists(others)) => others.iter().all(|list| lists.contains(list)),
    }
}

/// The control chain of a node: by its code, or by a member's name or key, and then its first one, unless it is known to
/// write another.
fn chain(workspace: &Handle, fold: &Fold, who: &str) -> Result<ChainId, CliError> {
    if let Some((device, number)) = who.split_once('.')
        && let (Ok(device), Ok(number)) = (device.parse(), number.parse::<u32>())
    {
        return Ok(ChainId { device, number });
    }
    let members = workspace.members().into_iter().filter(|member| member.role.is_some());
    let fitting: Vec<DeviceKey> = members
        .filter(|member| member.name == who || is_start(who, member.device))
        .map(|member| member.device)
        .collect();
    let device = *one(&fitting, who, "is a member")?;
    if device == workspace.device() {
        return Ok(workspace.office()?.chain);
    }
    let known = fold.chains().filter(|(chain, _)| chain.device == device).map(|(chain, _)| chain.number & !1);
    let mut numbers: Vec<u32> = known.collect();
    numbers.sort_unstable();
    numbers.dedup();
    match &numbers[..] {
        [] => Ok(ChainId { device, number: 0 }),
        [number] => Ok(ChainId { device, number: *number }),
        _several => Err(CliError::Usage(format!(
            "{who} has begun new chains: give the code that `tandem server code` prints there"
        ))),
    }
}

fn unbind(workspace: &Handle, who: &str, console: &mut Console) -> Result<Exit, CliError> {
    let (fold, authors) = (workspace.fold(), Authors::of(workspace));
    let fits = |device: DeviceKey| {
        authors.name(device) == who || is_start(who, device) || who.starts_with(&device.to_string())
    };
    let devices: BTreeSet<DeviceKey> =
        fold.present_terms().map(|term| term.chain().device).filter(|device| fits(*device)).collect();
    let devices: Vec<DeviceKey> = devices.into_iter().collect();
    if devices.is_empty() {
        return Err(CliError::NotFound(format!("nobody called {who} judges here; `tandem server` shows who does")));
    }
    let device = *one(&devices, who, "judges here")?;
    let terms: Vec<OpRef> =
        fold.present_terms().filter(|term| term.chain().device == device).map(|term| term.binding).collect();
    for term in terms {
        workspace.commit(Command::Servers(ServerChange::Unbind(term)))?;
    }
    console.line(format_args!("{} judges no longer; its verdicts that were seen here stand", escape(who)))?;
    Ok(Exit::Success)
}

/// Reads a file of rules, for the design as it is.
fn read_rules(design: &Design, vocabulary: &Vocabulary, file: &Path, console: &Console) -> Result<Policy, CliError> {
    let text = fs::read_to_string(console.path(file)).map_err(|error| CliError::File { path: file.into(), error })?;
    let rules = Rules::from_toml(&text).map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?;
    let share = rules.quota.bytes_per_member_and_day;
    let mut policy = Policy { bytes_a_member_and_day: share, ..Policy::default() };
    for rule in rules.rules {
        // In the server's names, where it has some; else in the workspace's.
        let list = vocabulary.list(design, &rule.list).map_or_else(|| names::list(design, &rule.list), Ok)?;
        let field = |name: &String| match vocabulary.field(design, list, name) {
            Some(field) => Ok(field),
            None => names::field(design, list, name),
        };
        let field = rule.field.as_ref().map(field).transpose()?;
        let names = vocabulary.names(design, list);
        let text = RuleText { list, name: rule.name, check: rule.check, message: rule.message, field, names };
        text.read(design).map_err(|error| CliError::Filter {
            message: format!("rule {}: {}", text.name, error.message),
            place: error.caret(&text.check),
        })?;
        policy.rules.push(text);
    }
    for (name, of_list) in rules.lists {
        let stale = match of_list.stale {
            StaleRule::Merge => Stale::Merge,
            StaleRule::Refuse => Stale::Refuse,
        };
        let list = vocabulary.list(design, &name).map_or_else(|| names::list(design, &name), Ok)?;
        policy.lists.insert(list, ListPolicy { stale });
    }
    Ok(policy)
}

fn set_rules(node: &Node, workspace: &Handle, file: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let policy = read_rules(workspace.fold().design(), &node.server_names(workspace)?, file, console)?;
    let count = policy.rules.len();
    node.set_policy(workspace, policy)?;
    let judges = !workspace.office()?.terms.is_empty();
    let rules = if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") };
    match judges {
        true => console.line(format_args!("this node judges by {rules} from now on"))?,
        false => console.line(format_args!("{rules} set; they count when the owner binds this node"))?,
    }
    Ok(Exit::Success)
}

fn show_rules(workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let (policy, fold) = (workspace.office()?.policy, workspace.fold());
    let design = fold.design();
    for rule in &policy.rules {
        let (list, field) = (design.name(rule.list), rule.field.map(|field| design.name(field)));
        match json.json {
            true => console.line(json!({
                "list": list, "name": rule.name, "check": rule.check, "message": rule.message, "field": field,
            }))?,
            false => {
                console.line(format_args!("{}  {}: {}", escape(&list), escape(&rule.name), escape(&rule.check)))?
            }
        }
    }
    if policy.rules.is_empty() && !json.json {
        console.line("no rules; the types, required and unique fields of the design are judged anyway")?;
    }
    Ok(Exit::Success)
}

fn test_rules(node: &Node, workspace: &Handle, file: &Path, console: &mut Console) -> Result<Exit, CliError> {
    let (state, fold) = (workspace.read(), workspace.fold());
    let policy = read_rules(state.design(), &node.server_names(workspace)?, file, console)?;
    let names: BTreeMap<DeviceKey, String> =
        workspace.members().into_iter().map(|member| (member.device, member.name)).collect();
    let before = RecordState::default();
    let mut broken = 0;
    for text in &policy.rules {
        let rule: Rule = text.read(fold.design()).expect("just read");
        let mut of_rule = 0_usize;
        for record in state.list(text.list, &Query::default())? {
            let author = record.state.creates.first().map(|edit| edit.stamp.event.chain.device);
            let author = author.and_then(|author| names.get(&author)).map_or("", String::as_str);
            let (before, after) = (&before, &record.state);
            let (id, role, lenses) = (record.id, "writer", fold.design().lenses());
            let change = RecordChange { record: id, before, after, author, role, names: &names, lenses };
            let why = match rule.allows(&change) {
                Ok(true) => continue,
                Ok(false) => text.message.clone(),
                Err(error) => error.to_string(),
            };
            of_rule += 1;
            if of_rule <= BROKEN_MAX {
                let id = &id.to_string()[..8];
                console.line(format_args!("{}  {id}  {}", escape(&text.name), escape(&why)))?;
            }
        }
        if of_rule > BROKEN_MAX {
            console.line(format_args!("{}  … {of_rule} in all", escape(&text.name)))?;
        }
        broken += of_rule;
    }
    console.line(match broken {
        0 => "every record that is there keeps the rules".to_owned(),
        1 => "1 record would be refused if it were made now".to_owned(),
        more => format!("{more} records would be refused if they were made now"),
    })?;
    Ok(Exit::Success)
}

/// What the operator of a server looks at.
fn console(node: &Node, workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let (office, authors, fold) = (workspace.office()?, Authors::of(workspace), workspace.fold());
    let (mut by_rule, mut by_member): (BTreeMap<String, u64>, BTreeMap<String, u64>) = Default::default();
    for refusal in workspace.read().refusals(None, usize::MAX)? {
        for by in refusal.refused.verdicts.iter().filter(|by| by.server() == node.device()) {
            let mut rules = by.text.iter().flat_map(|text| &text.blame).map(|blame| blame.rule.clone());
            let rule = rules.find(|rule| !rule.is_empty()).unwrap_or_else(|| code_name(by.code));
            *by_rule.entry(rule).or_default() += 1;
            *by_member.entry(authors.name(refusal.refused.event.chain.device)).or_default() += 1;
        }
    }
    let own = fold.version_table();
    let peers = node.peers(workspace.id());
    let behind: BTreeMap<String, u64> = peers
        .iter()
        .filter_map(|peer| Some((authors.name(peer.device), own.events_beyond(peer.theirs.as_ref()?))))
        .filter(|(_, events)| *events > 0)
        .collect();
    let members = workspace.members().into_iter().filter(|member| member.role.is_some_and(|role| role >= Role::Reader));
    let members = members.count();
    let (accepted, refused) = office.judged;
    if json.json {
        console.line(json!({
            "judges": !office.terms.is_empty(),
            "members": members,
            "linked": peers.len(),
            "rules": office.policy.rules.len(),
            "accepted": accepted,
            "refused": refused,
            "open_refusals_by_rule": by_rule,
            "open_refusals_by_member": by_member,
            "behind": behind,
        }))?;
        return Ok(Exit::Success);
    }
    let judges = if office.terms.is_empty() { "judges nothing" } else { "judges" };
    console.line(format_args!(
        "this node {judges}; {members} members' devices, {} linked; {} rules",
        peers.len(),
        office.policy.rules.len()
    ))?;
    console.line(format_args!("since it was opened: {accepted} accepted, {refused} refused"))?;
    for (title, counts) in [("open refusals by rule", by_rule), ("by member", by_member), ("behind, in events", behind)]
    {
        if !counts.is_empty() {
            let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            console.line(format_args!("{title}: {}", escape(&counts.join(", "))))?;
        }
    }
    if !office.unproved.is_empty() {
        console.complain(&unproved(workspace)?);
    }
    Ok(Exit::Success)
}

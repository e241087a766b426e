//! What the design is now, and whose.

use super::super::{CliError, Console, Exit, args::Json, events::Authors};
use crate::show::escape;
use serde_json::json;
use tandem_actors::Handle;
use tandem_storage::design_file::{DesignFile, FieldSpec, Indexed, ListSpec, export};

pub fn show(workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let file = export(workspace.read().design());
    let owner = workspace.design_owner().map(|device| Authors::of(workspace).name(device));
    let open = workspace.open_proposals();
    if json.json {
        console.line(json!({ "owner": owner, "proposals": open, "design": file }))?;
        return Ok(Exit::Success);
    }
    match owner {
        Some(owner) => console.line(format_args!("the design belongs to the server {}", escape(&owner)))?,
        None => console.line("designers and managers of this workspace make the design")?,
    }
    if open > 0 {
        console.line(format_args!("{open} proposed: `tandem design history` shows how far they have come"))?;
    }
    text(&file, console)?;
    Ok(Exit::Success)
}

fn text(file: &DesignFile, console: &mut Console) -> Result<(), CliError> {
    for list in &file.lists {
        console.line(format_args!("\n{}{}", escape(&list.name), help(&list.help)))?;
        for field in &list.fields {
            console.line(format_args!("  {}", line_of(field)))?;
        }
        for line in others(list) {
            console.line(format_args!("  {}", escape(&line)))?;
        }
    }
    Ok(())
}

fn help(help: &str) -> String {
    if help.is_empty() { String::new() } else { format!(" — {}", escape(help)) }
}

fn line_of(field: &FieldSpec) -> String {
    let many = if field.many { "many " } else { "" };
    let mut words = vec![format!("{many}{}", field.base)];
    words.extend(field.list.as_ref().map(|list| format!("to {list}")));
    let flags =
        [(field.required, "required"), (field.unique, "unique"), (field.indexed == Indexed::Whole(true), "indexed")];
    words.extend(flags.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()));
    if let Indexed::Parts(parts) = &field.indexed {
        words.push(format!("indexed by {}", parts.join(", ")));
    }
    words.extend(field.row_number.then(|| "the rows' numbers".to_owned()));
    if !field.choices.is_empty() {
        let names: Vec<&str> = field.choices.iter().map(|choice| choice.name()).collect();
        words.push(format!("of {}", names.join(" | ")));
    }
    escape(&format!("{}: {}", field.name, words.join(", "))).into_owned() + &help(&field.help)
}

fn others(list: &ListSpec) -> Vec<String> {
    let views = list.views.iter().map(|view| format!("view {} ({})", view.name, view.kind.name()));
    let forms = list.forms.iter().map(|form| format!("form {}", form.name));
    let rules = list.rules.iter().map(|rule| {
        let what = rule.check.as_ref().or(rule.value.as_ref()).or(rule.when.as_ref());
        format!("rule {}: {}", rule.name, what.map_or("", String::as_str))
    });
    views.chain(forms).chain(rules).collect()
}

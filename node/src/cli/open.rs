//! From the command line to an open node and the workspace that is meant.

use super::{Args, CliError, Console};
use crate::show::escape;
use etcetera::BaseStrategy;
use std::{fs, io::ErrorKind, path::PathBuf};
use tandem_actors::{Handle, NetworkOptions, Node, Options, WorkspaceInfo};
use tandem_config::Config;
use tandem_storage::engine::{Options as EngineOptions, Table};

/// Where the node's data is.
pub fn data_dir(args: &Args, config: &Config) -> Result<PathBuf, CliError> {
    if let Some(dir) = args.data_dir.clone().or_else(|| config.data_dir.clone()) {
        return Ok(dir);
    }
    let platform = etcetera::choose_base_strategy();
    let platform = platform.map_err(|_| CliError::Usage("this user has no home folder; say --data-dir DIR".into()))?;
    Ok(platform.data_dir().join("tandem"))
}

/// The configuration and where it comes from.
pub struct Settings {
    /// What holds.
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The keys that it sets.
    keys: Vec<&'static str>,
}

impl Settings {
    /// Where a key's value comes from: the file, or the default.
    pub fn origin(&self, key: &str) -> String {
        let file = self.file.as_ref().filter(|_| self.keys.contains(&key));
        file.map_or_else(|| "default".into(), |path| path.display().to_string())
    }
}

/// The configuration: the named file, or the one in the data folder if it is there, or the defaults.
pub fn settings(args: &Args) -> Result<Settings, CliError> {
    let (path, must_exist) = match &args.config {
        Some(path) => (path.clone(), true),
        None => (data_dir(args, &Config::default())?.join("tandem.toml"), false),
    };
    match fs::read_to_string(&path) {
        Ok(text) => match Config::from_toml_with_keys(&text) {
            Ok((config, keys)) => Ok(Settings { config, file: Some(path), keys }),
            Err(error) => Err(CliError::Config { path, error }),
        },
        Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => {
            Ok(Settings { config: Config::default(), file: None, keys: vec![] })
        }
        Err(error) => Err(CliError::File { path, error }),
    }
}

/// Opens the node.
pub fn node(args: &Args, config: &Config) -> Result<Node, CliError> {
    let mb = |mb: u32| u64::from(mb) << 20;
    let options = Options {
        engine: EngineOptions {
            cache_bytes: mb(config.storage.cache_mb),
            // The setting is for all tables together, the engine's for each.
            write_buffer_bytes: mb(config.storage.write_buffer_mb) / Table::ALL.len() as u64,
        },
        mailbox_messages_max: config.workspace.mailbox_messages_max as usize,
        group_commands_max: config.workspace.group_events_max as usize,
        disk_free_bytes_min: mb(config.storage.disk_free_mb_min),
        ..Options::default()
    };
    Ok(Node::open(data_dir(args, config)?, options)?)
}

/// Says what was found when the node was opened, where a person should know.
pub fn tell_recovered(node: &Node, console: &mut Console) {
    if node.recovered().is_notable() {
        console.complain(&escape(&node.recovered().to_string()));
    }
}

/// How the node is on the network: as the command line says, or the configuration.
pub fn network(config: &Config, args: &super::args::NodeArgs) -> NetworkOptions {
    NetworkOptions {
        listen: args.listen.or(config.network.listen),
        discovery: config.network.discovery && !args.no_discovery,
        relay: config.network.relay.clone(),
    }
}

/// The workspace that is meant: the named one, or the only one.
pub fn workspace(args: &Args, node: &Node) -> Result<Handle, CliError> {
    let all = node.workspaces()?;
    let info = match (&args.workspace, all.as_slice()) {
        (Some(name), all) => find(all, name)?,
        (None, [only]) => only,
        (None, []) => {
            let text = "this node has no workspace yet; make one with `tandem workspace new NAME`";
            return Err(CliError::NotFound(text.into()));
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|info| info.name.as_str()).collect();
            return Err(CliError::Usage(format!("say which workspace with --workspace: {}", names.join(", "))));
        }
    };
    Ok(node.workspace(info.id)?)
}

/// The workspace with this name, or whose id starts like this.
pub fn find<'a>(all: &'a [WorkspaceInfo], name: &str) -> Result<&'a WorkspaceInfo, CliError> {
    let by_name: Vec<_> = all.iter().filter(|info| info.name == name).collect();
    let by_id = || all.iter().filter(|info| name.len() >= 4 && info.id.to_string().starts_with(name)).collect();
    let found: Vec<_> = if by_name.is_empty() { by_id() } else { by_name };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(CliError::NotFound(format!(
            "this node has no workspace {name}; `tandem workspace ls` shows those that it has"
        ))),
        _several => Err(CliError::Usage(format!("several workspaces are called {name}; give the start of an id"))),
    }
}

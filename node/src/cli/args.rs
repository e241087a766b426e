//! What can be asked on the command line.

mod design;
mod group;
mod records;

pub use design::{DesignArgs, DesignCommand, DesignFormat, ViewArgs};
pub use group::{
    BindArgs, DiscardArgs, HandOnArgs, InboxArgs, InviteArgs, JoinArgs, MembersArgs, MembersCommand, ResendArgs,
    ResolveArgs, RulesCommand, ServerArgs, ServerCommand,
};
pub use records::{Export, Format, Get, Import, Ls, Named, New, OneRecord, Set, UndoArgs};

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

/// The commands in groups, which clap does not make by itself; a test holds this against the commands that there are.
const HELP: &str = "\
{about}

{usage-heading} {usage}

Records:
  ls, get            show the records of a list; one with everything about it
  new, set, rm       make a record, change it, remove it
  restore            bring a removed record back
  undo               take own changes back: a whole import, or one event
  history            who did what to a record, and when

Lists and files:
  lists, view        show the lists and their fields; a list through one of its views
  design             what there is: show, export, try, change, go back
  import, export     bring in CSV, vCard or iCalendar; write these or JSON

Workspaces:
  workspace          make, list, leave, restore and remove workspaces
  invite, join       let others in; join by a ticket
  members            who is in it, in which role; remove, approve
  status             how it stands with the other members' nodes
  inbox              what was refused or written side by side, and why
  resolve, resend    put it right; `discard` gives it up, `hand-on` asks another
  server             who judges what is written, and by which rules
  log, digest        the signed events; what is equal on every node that has them
  verify             check every signature and the views

This node:
  node               run it until it is stopped; commands go through it
  doctor, size       what is wrong and what to do; what it takes on the disk
  backup             write a workspace's log to a file or folder
  config, key        the settings and where they come from; the device key
  completions, man   completions for a shell; manual pages
  demo               see it work, in a temporary folder

Options:
{options}

`tandem COMMAND --help` has more on each.
";

/// A local-first database for groups: every member keeps a full copy, works offline, and loses nothing.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, max_term_width = 100, help_template = HELP)]
pub struct Args {
    /// Folder of the node's data [default: the platform's place for data]
    #[arg(long, global = true, value_name = "DIR", env = "TANDEM_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file [default: tandem.toml in the data folder, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Workspace, by name or start of its id; needed where there are several
    #[arg(long, short, global = true, value_name = "NAME|ID")]
    pub workspace: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list, leave and remove workspaces
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Bring a file in: CSV, contacts as vCard, or a calendar as iCalendar
    Import(Import),
    /// Write a list to a file or to standard output
    Export(Export),
    /// Show the lists of the workspace and their fields
    Lists(Json),
    /// Show the records of a list
    Ls(Ls),
    /// Make a record
    New(New),
    /// Show a record with everything about it
    Get(Get),
    /// Change fields of a record
    Set(Set),
    /// Remove a record
    Rm(Named),
    /// Bring a removed record back
    Restore(Named),
    /// Take own changes back: a whole import, or one event
    Undo(UndoArgs),
    /// Show who did what to a record, and when
    History(OneRecord),
    /// Show the workspace's events, oldest first
    Log(Log),
    /// Print the digest of the workspace's views: equal on every node that has the same events
    Digest(Json),
    /// Check every signature, and the views against views made anew from the log
    Verify(Verify),
    /// Show what the workspaces take
    Size(Json),
    /// Write a workspace's log to a file, or what is new of it to a folder
    Backup {
        /// The file, which is replaced; or a folder (end a new one's name with /), to which what is new is added
        to: PathBuf,
    },
    /// Invite somebody: prints a ticket, which lets in whoever has it
    Invite(InviteArgs),
    /// Join a workspace by a ticket
    Join(JoinArgs),
    /// Show who is a member, or change that
    Members(MembersArgs),
    /// Show how the workspaces stand with the other members' nodes
    Status(Json),
    /// Show what servers refused, what was written side by side and who lost, removals that lost, and what waits
    Inbox(InboxArgs),
    /// Put something in the inbox right
    Resolve(ResolveArgs),
    /// Send what a server refused again, with other values
    Resend(ResendArgs),
    /// Give up what a server refused: it is taken off every member's inbox
    Discard(DiscardArgs),
    /// Ask another member to put right what a server refused
    HandOn(HandOnArgs),
    /// Show or change the design: lists, fields, views, forms and rules
    Design(DesignArgs),
    /// Show a list through one of its views: as a list, board, calendar or Gantt chart
    View(ViewArgs),
    /// Show which servers judge this workspace, or change that
    Server(ServerArgs),
    /// Run the node until it is stopped (SIGTERM); meanwhile the other commands go through it
    Node(NodeArgs),
    /// Look for what is wrong with this node, and say what to do
    Doctor(Doctor),
    /// Show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show or export the device key
    #[command(subcommand)]
    Key(KeyCommand),
    /// See it work: a contact list, and three nodes that share it, in a temporary folder
    Demo,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages
    Man {
        /// The folder; made if it does not exist
        folder: PathBuf,
    },
}

/// `tandem workspace …`
#[derive(Debug, Subcommand)]
pub enum WorkspaceCommand {
    /// Found a workspace; you are its owner
    New {
        /// Its name
        name: String,
        /// Your name in it [default: the name of your user on this machine]
        #[arg(long, value_name = "NAME")]
        member: Option<String>,
        /// A design to start from: contacts, tasks, issue-tracker, inventory, inspections, or a file
        #[arg(long, value_name = "NAME|FILE")]
        design: Option<String>,
    },
    /// List the workspaces of this node
    Ls(Json),
    /// Leave a workspace: the copy here stays, for reading only
    Leave {
        /// Its name or the start of its id
        workspace: String,
    },
    /// Bring a workspace back from what `tandem backup` wrote
    Restore {
        /// The file or folder; of a folder's files one stands for all up to it
        from: PathBuf,
    },
    /// Remove a workspace with everything in it from this node
    Rm {
        /// Its name or the start of its id
        workspace: String,
        /// Yes, what is only here is lost
        #[arg(long)]
        yes: bool,
    },
}

/// `tandem node`
#[derive(Debug, Default, Clone, ClapArgs)]
pub struct NodeArgs {
    /// Listen at this address and UDP port [default: network.listen, or all interfaces]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Neither look for nodes on the local network nor let them find this one
    #[arg(long)]
    pub no_discovery: bool,
    /// Stay off the network altogether
    #[arg(long, conflicts_with_all = ["listen", "no_discovery"])]
    pub offline: bool,
}

/// Output for programs.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Json {
    /// Print JSON lines (see docs/cli.md)
    #[arg(long)]
    pub json: bool,
}

/// `tandem log`
#[derive(Debug, ClapArgs)]
pub struct Log {
    /// At most so many events, the newest
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem verify`
#[derive(Debug, ClapArgs)]
pub struct Verify {
    /// Also make the live views anew from the log
    #[arg(long)]
    pub rebuild: bool,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem doctor`
#[derive(Debug, ClapArgs)]
pub struct Doctor {
    /// Also check every signature, and the views against views made anew
    #[arg(long)]
    pub deep: bool,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every key with its value
    Show(ConfigShow),
}

/// `tandem config show`
#[derive(Debug, ClapArgs)]
pub struct ConfigShow {
    /// Also show where each value comes from
    #[arg(long)]
    pub origin: bool,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem key …`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Print the public half, which is the node's name
    Show,
    /// Write the secret half to a file that only you can read
    Export {
        /// The file; it must not be there yet
        file: PathBuf,
    },
}

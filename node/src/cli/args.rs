//! What can be asked on the command line.

mod design;

pub use design::{DesignArgs, DesignCommand, DesignFormat, ViewArgs};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tandem_wire::Role;

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

/// `tandem invite`
#[derive(Debug, ClapArgs)]
pub struct InviteArgs {
    /// What who joins may do
    #[arg(long, value_enum, default_value_t = RoleName::Writer)]
    pub role: RoleName,
    /// How many may join by it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub uses: u32,
    /// For how long: 30m, 72h, 14d
    #[arg(long, value_name = "TIME", default_value = "72h", value_parser = parse_time)]
    pub expires: Duration,
    /// A person has to approve each who joins (`tandem members approve`); for managers that is always so
    #[arg(long)]
    pub approve: bool,
    /// For a further device of this member, by name: it gets their role, and a person has to approve it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["role", "uses", "approve"])]
    pub device_of: Option<String>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem join`
#[derive(Debug, ClapArgs)]
pub struct JoinArgs {
    /// The ticket that `tandem invite` printed
    pub ticket: String,
    /// Your name there [default: the name of your user on this machine; for a further device, its owner's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `tandem members`
#[derive(Debug, ClapArgs)]
pub struct MembersArgs {
    /// What to change
    #[command(subcommand)]
    pub command: Option<MembersCommand>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem members …`
#[derive(Debug, Subcommand)]
pub enum MembersCommand {
    /// Give a member another role
    Role {
        /// Name, or start of the device's key
        who: String,
        /// The role
        #[arg(value_enum)]
        role: RoleName,
    },
    /// Remove a member's device: what it wrote that nobody here has seen counts for nothing
    Remove {
        /// Name, or start of the device's key
        who: String,
    },
    /// Let somebody in who waits, after comparing the device's key
    Approve {
        /// Name, or start of the device's key
        who: String,
    },
    /// Take an invitation back
    Withdraw {
        /// The start of its id, as `tandem members` shows it
        invitation: String,
    },
}

/// What a member may do; each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Read
    Reader,
    /// Change records
    Writer,
    /// Change lists, fields and views
    Designer,
    /// Change who is a member
    Manager,
}

impl RoleName {
    /// Its name.
    pub fn name(self) -> &'static str {
        super::members::role_name(self.into())
    }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Reader => Self::Reader,
            RoleName::Writer => Self::Writer,
            RoleName::Designer => Self::Designer,
            RoleName::Manager => Self::Manager,
        }
    }
}

/// `tandem inbox`
#[derive(Debug, ClapArgs)]
pub struct InboxArgs {
    /// Show at most so many refusals, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem resend`
#[derive(Debug, ClapArgs)]
pub struct ResendArgs {
    /// What `tandem inbox` shows, or the start of it
    pub id: String,
    /// Other values, FIELD=VALUE
    #[arg(value_name = "FIELD=VALUE")]
    pub values: Vec<String>,
    /// Leave what was refused only because it needs this as it is
    #[arg(long)]
    pub alone: bool,
    /// Not now, but by itself, each time that the rule, role or design that refused it changes
    #[arg(long, conflicts_with_all = ["values", "alone"])]
    pub retry_when_changed: bool,
}

/// `tandem discard`
#[derive(Debug, ClapArgs)]
pub struct DiscardArgs {
    /// What `tandem inbox` shows, or the start of it
    pub id: String,
}

/// `tandem hand-on`
#[derive(Debug, ClapArgs)]
pub struct HandOnArgs {
    /// What `tandem inbox` shows, or the start of it
    pub id: String,
    /// Name, or start of a device's key
    pub to: String,
}

/// `tandem server`
#[derive(Debug, ClapArgs)]
pub struct ServerArgs {
    /// What to do
    #[command(subcommand)]
    pub command: Option<ServerCommand>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem server …`
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// Have a node judge what is written from now on; only the owner can
    Bind(BindArgs),
    /// The same in place of who judges these lists now; verdicts that were seen here stand
    Rebind(BindArgs),
    /// Have a node judge no longer
    Unbind {
        /// Name, code, or start of the device's key
        who: String,
    },
    /// Print the code by which an owner binds this node
    Code,
    /// Show the rules that this node judges by, set them from a file, or try them
    Rules(RulesArgs),
    /// Show what this node calls the lists and fields where it speaks for a server, or set that from a file; nobody else is
    /// told
    Names {
        /// The file to set; without, the names are shown
        file: Option<PathBuf>,
    },
    /// Show members, verdicts and refusals, by rule and by member, and who is behind
    Console(Json),
}

/// `tandem server bind`, `tandem server rebind`
#[derive(Debug, ClapArgs)]
pub struct BindArgs {
    /// The node: a member's name, the start of its key, or the code that `tandem server code` prints there
    pub who: String,
    /// Only these lists, separated by commas; else the whole workspace
    #[arg(long, value_name = "LIST,…", value_delimiter = ',')]
    pub lists: Vec<String>,
    /// Its refusals are listed, and mask nothing
    #[arg(long)]
    pub mirror: bool,
}

/// `tandem server rules`
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RulesArgs {
    /// The file to set; without, the rules are shown
    pub file: Option<PathBuf>,
    /// Instead of setting them
    #[command(subcommand)]
    pub command: Option<RulesCommand>,
}

/// `tandem server rules …`
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Say which of the records that are there would be refused by the rules of a file, and set nothing
    Test {
        /// The file
        file: PathBuf,
    },
}

/// `tandem resolve`
#[derive(Debug, ClapArgs)]
pub struct ResolveArgs {
    /// What `tandem inbox` shows, or the start of it
    pub id: String,
    /// Take the value of this event, or the removal that it made
    #[arg(long = "use", value_name = "EVENT", conflicts_with_all = ["value", "keep_both"])]
    pub event: Option<String>,
    /// Take this value instead
    #[arg(long, value_name = "VALUE", conflicts_with = "keep_both")]
    pub value: Option<String>,
    /// Keep both: the other value goes into a second record; a record that was removed stays
    #[arg(long)]
    pub keep_both: bool,
}

/// A time as people write it: a number and m, h or d.
fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write it like 30m, 72h or 14d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _other => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    // Beyond a hundred years it is a slip.
    let seconds = number.checked_mul(seconds).filter(|seconds| (1..=100 * 366 * 86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

/// Output for programs.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Json {
    /// Print JSON lines (see docs/cli.md)
    #[arg(long)]
    pub json: bool,
}

/// `tandem import`
#[derive(Debug, ClapArgs)]
pub struct Import {
    /// The file; `-` is standard input
    pub file: PathBuf,
    /// Into which list; made if it does not exist [default: the file's name]
    #[arg(long, value_name = "LIST")]
    pub list: Option<String>,
    /// Show what the columns hold and how they would be read, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Read a column as this type: text, choice, bool, int, decimal, float, date, date:dmy, date:mdy, date-time;
    /// may be given several times
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    pub types: Vec<String>,
    /// Update the record whose FIELD has the row's value, instead of making a new one
    #[arg(long, value_name = "FIELD")]
    pub key: Option<String>,
    /// List and columns have the names that this node has for a server, and every text goes back as it stands; see
    /// `tandem server names`
    #[arg(long, conflicts_with_all = ["types", "decimal_comma"])]
    pub server_names: bool,
    /// Numbers are written 1.234,56
    #[arg(long)]
    pub decimal_comma: bool,
    /// Where to write rows that cannot be read, with line and reason [default: FILE's name + .errors.txt, here]
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,
}

/// `tandem export`
#[derive(Debug, ClapArgs)]
pub struct Export {
    /// The list
    pub list: String,
    /// The format
    #[arg(long, value_enum)]
    pub format: Format,
    /// The list by the name that this node has for a server, the columns as well, and every text as the server wrote it;
    /// see `tandem server names`
    #[arg(long)]
    pub server_names: bool,
    /// Where to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What [`Export`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for spreadsheets
    Csv,
    /// Records as JSON lines, with everything
    Json,
    /// Contact cards, vCard 4.0
    Vcf,
    /// A calendar, iCalendar 2.0
    Ics,
}

/// `tandem ls`
#[derive(Debug, ClapArgs)]
pub struct Ls {
    /// The list
    pub list: String,
    /// Sort by this field; `name:desc` for the greatest first
    #[arg(long, value_name = "FIELD[:desc]")]
    pub sort: Option<String>,
    /// Only records of which this holds: FIELD=VALUE, or CEL such as `population > 100000 && country == "IR"`; may be
    /// given several times
    #[arg(long = "where", value_name = "EXPR")]
    pub filters: Vec<String>,
    /// Only these fields, in this order [default: those that show something]
    #[arg(long, value_name = "FIELD,…", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Instead of records, how many of them show each value of this field, most first
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["fields", "sort", "cursor"])]
    pub group: Option<String>,
    /// At most so many records
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Go on where a page with --limit ended
    #[arg(long, value_name = "TOKEN")]
    pub cursor: Option<String>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem new`
#[derive(Debug, ClapArgs)]
pub struct New {
    /// The list
    pub list: String,
    /// Values; a part is `field.part`, an element `field[1]` or `field[1].part`
    #[arg(value_name = "FIELD=VALUE")]
    pub values: Vec<String>,
    /// Ask for the other values, line by line, as a form of the list has them; so it is anyway on a terminal where none is
    /// given
    #[arg(long)]
    pub ask: bool,
    /// The form [default: the first of the list, or all fields]
    #[arg(long, value_name = "NAME")]
    pub form: Option<String>,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem get`
#[derive(Debug, ClapArgs)]
pub struct Get {
    /// Which
    #[command(flatten)]
    pub one: OneRecord,
    /// Also what refers to it
    #[arg(long)]
    pub backlinks: bool,
}

/// A record, for `tandem get` and `tandem history`
#[derive(Debug, ClapArgs)]
pub struct OneRecord {
    /// The list
    pub list: String,
    /// The record's id, or the start of it
    pub record: String,
    /// Output
    #[command(flatten)]
    pub json: Json,
}

/// `tandem set`
#[derive(Debug, ClapArgs)]
pub struct Set {
    /// The list
    pub list: String,
    /// The record's id, or the start of it
    pub record: String,
    /// New values; nothing behind the `=` clears the field
    #[arg(value_name = "FIELD=VALUE", required = true)]
    pub values: Vec<String>,
}

/// A record, for `tandem rm` and `tandem restore`
#[derive(Debug, ClapArgs)]
pub struct Named {
    /// The list
    pub list: String,
    /// The record's id, or the start of it
    pub record: String,
}

/// `tandem undo`
#[derive(Debug, ClapArgs)]
pub struct UndoArgs {
    /// The batch that an import or an undo printed, or an event that `tandem history` shows; the start of it will do
    #[arg(value_name = "BATCH|EVENT")]
    pub what: String,
    /// Output
    #[command(flatten)]
    pub json: Json,
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

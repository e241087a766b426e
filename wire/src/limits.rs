//! Named maxima of everything that crosses a boundary. Units are in the names.
//!
//! They are part of the format: an event beyond one of them is invalid everywhere, for ever.

/// Events in one run, that is, under one signature.
pub const RUN_EVENTS_MAX: usize = 256;
/// Stored bytes of one run.
pub const RUN_BYTES_MAX: usize = 128 * 1024;
/// Hashed header and payload bytes of one event.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;
/// Ops in one event.
pub const EVENT_OPS_MAX: usize = 4096;
/// Events that one event names as its direct past, besides its chain's previous one.
pub const DEPS_MAX: usize = 32;
/// Ops that one op names as its predecessors.
pub const PREDS_MAX: usize = 1024;
/// Steps of a part path inside a field.
pub const PART_STEPS_MAX: usize = 3;
/// Bytes of one step of a part path.
pub const PART_STEP_BYTES_MAX: usize = 64;
/// Structural bytes of one control op (they live in the header).
pub const ARGS_BYTES_MAX: usize = 48 * 1024;
/// Chain ends that a removal, binding or merge names.
pub const MARKS_MAX: usize = 512;
/// Bytes of the sentence that explains a refusal.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 512;
/// Cells that one refusal blames.
pub const BLAME_MAX: usize = 64;
/// Rules that a change of an authority's rules names, at most.
pub const RULES_NAMED_MAX: usize = 64;
/// Bytes of a name: of a workspace, member, list, field.
pub const NAME_BYTES_MAX: usize = 256;
/// Lists that one binding covers.
pub const SCOPE_LISTS_MAX: usize = 256;
/// Bindings that one binding ends.
pub const BINDING_ENDS_MAX: usize = 64;
/// Events that one verdict is about.
pub const VERDICT_EVENTS_MAX: u32 = 1 << 16;
/// Events whose steps make up one proposed design.
pub const DESIGN_STEPS_MAX: usize = 256;
/// Bytes of the zone of a date-time value.
pub const ZONE_BYTES_MAX: usize = 64;
/// Bytes of a rank value.
pub const RANK_BYTES_MAX: usize = 256;
/// Bytes of the media type of a blob value.
pub const MEDIA_TYPE_BYTES_MAX: usize = 256;
/// Greatest wall clock of an event, in milliseconds since 1970; later than the year 10000.
pub const WALL_MS_MAX: u64 = 1 << 48;
/// Greatest sequence number in a chain, and the greatest lamport.
pub const SEQ_MAX: u64 = 1 << 48;
/// Decimal places of a decimal value.
pub const DECIMAL_SCALE_MAX: u8 = 28;
/// Bytes of a frame before its sender has shown to be a member.
pub const OPENING_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a frame.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the runs of one message.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Runs of one message.
pub const BATCH_RUNS_MAX: usize = 4096;
/// Bytes of runs that are on their way to a node that has not said yet that it took them in.
pub const WINDOW_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Ends of chains in one part of a version table.
pub const TABLE_PART_ENDS_MAX: usize = 4096;
/// Places of a forked chain in one message.
pub const POINTS_MAX: usize = 4096;
/// Ends of chains in a whole version table.
pub const TABLE_ENDS_MAX: usize = 1 << 18;
/// Devices of which a node tells another where they were seen.
pub const PEERS_MAX: usize = 256;
/// Addresses of one device.
pub const PLACES_MAX: usize = 8;
/// Bytes of held events that are kept for one author.
pub const HELD_BYTES_MAX: u64 = 4 * 1024 * 1024;

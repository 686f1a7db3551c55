//! One walk for everything: a parallel fold over directory trees.
//!
//! Reporting, finding, repairing, copying and tracking are the same fold. State flows down from a
//! directory to what is in it, totals flow up when a subtree is finished, and in between a visitor
//! sees the entries in batches. So there is one engine, with many visitors, and no feature walks by
//! itself.
//!
//! Where to read on:
//!
//! * [`Visitor`] and [`Sink`]: what a feature writes, and the **contract of the order** of calls;
//! * `idle`: sleeping, waking, and why the fold **terminates** just when all is done;
//! * `dir`: when a directory is finished;
//! * `list`, `stat`, `descend`: the three kinds of system calls, and who divides what;
//! * `fds`: the **budget of file descriptors**;
//! * `control`: the **concurrency controller**;
//! * `slot`, `watch`: calls that never return;
//! * `frontier`: stopping and going on; `unfinished`: what a cancelled fold was in.
//!
//! Beside the fold there is one walk that is pulled: `ordered`, for callers who decide on the order as they go.
//!
//! The engine prints nothing, knows no format and parses no arguments.

mod batch;
mod control;
mod descend;
mod dir;
mod errors;
mod exclude;
mod fds;
mod frontier;
mod hands;
mod idle;
mod list;
mod lock;
mod options;
mod ordered;
mod places;
mod progress;
mod run;
mod shared;
mod slot;
mod snapshot;
mod stat;
mod stat_each;
mod task;
mod throttle;
mod totals;
mod unfinished;
mod visit;
mod watch;
mod worker;

pub use batch::{Batch, Descent, Entry};
pub use control::{Controller, Sample};
pub use dir::{Dir, Listing, join, trim_root};
pub use errors::{Class, Op, WalkError};
pub use exclude::{BadPattern, Exclude};
pub use fds::{Fds, Held, Keeper, Lost, Node};
pub use frontier::{Frontier, OpenDir, UnreadDir};
pub use hands::{Context, DirFd, Permits, Reserved};
pub use options::{Budget, FollowLinks, Mounts, Options, RootLinks, Snapshots, Threads};
pub use ordered::{Contract, Listed, ListedFd, Order, OrderedError, OrderedOptions, OrderedWalk, Visit};
pub use progress::{Cancel, Progress, Silent, Snapshot, Stall};
pub use run::{Ended, Outcome, fold};
pub use stat_each::stat_each;
pub use throttle::Throttle;
pub use totals::{LinkSeen, Totals};
pub use unfinished::{Unfinished, UnfinishedDir};
pub use visit::{Descend, Needs, Operand, Sink, Visitor, Want};

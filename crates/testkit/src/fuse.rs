//! A synthetic file system that is slow, broken or silent by rule, mounted for real.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use pwalk_testkit::fuse::{Errno, Fault, Op, Synthetic, Tree};
//! # fn main() -> std::io::Result<()> {
//! let mounted = Synthetic::custom(Tree::new().dir("a").file("a/b", 10).file("a/c", 20))
//!     .delay(Duration::from_millis(1))
//!     .fault(Fault::error(Op::Readdir, "a", Errno::IO).after(1).times(1))
//!     .hang(Op::Getattr, "a/c")
//!     .mount()?;
//! // walk mounted.path() …
//! assert!(mounted.ops().of(Op::Readdir) > 0);
//! mounted.release(); // what hangs is answered now
//! # Ok(())
//! # }
//! ```
//!
//! What is shown comes from a [`Layout`]: computed ([`Synthetic::tree`], [`Synthetic::flat`], the endless ones), so
//! that 100 million entries take no memory, or an explicit [`Tree`]. What goes wrong comes from [`Fault`]s. The two do
//! not know each other.
//!
//! **Requests in flight cost no threads.** Two session threads read requests from the kernel; a request with nothing to
//! wait for is answered at once, any other goes into a timer queue with its reply and is answered when it is
//! due. A thread per waiting request, as libfuse has it, was rejected: a thousand of them on two cores measure
//! the scheduler and not the walker.
//!
//! **A test may walk what it serves.** The server threads never touch the mount, so a walker in the same process
//! cannot block them. Two things follow for a process that dies: a thread that waits for an answer cannot be killed,
//! and its server is gone. For that every mount has a guard process, which aborts and unmounts the file system
//! when this process ends without having done so.
//!
//! Numbers to expect: a `stat` of a path below the root costs one [`Op::Lookup`] per component and one
//! [`Op::Getattr`], since names and attributes are valid for 0 seconds unless [`Synthetic::cache`] says otherwise; opening a
//! directory costs its lookups and one [`Op::Opendir`]; listing it costs [`Op::Readdir`]s of as many entries as the
//! kernel asks for (the caller's buffer since Linux 6.18 or so, 4 KiB before), the last of them empty. The kernel
//! repeats a lookup that failed with `ESTALE` once.

mod computed;
mod guard;
mod layout;
mod mount;
mod queue;
mod rules;
mod server;
mod synthetic;
mod tree;

pub use layout::{Attr, Layout, ROOT};
pub use mount::{Mounted, require_fuse};
pub use rules::{Counts, Effect, Fault, Op};
pub use rustix::fs::FileType;
pub use rustix::io::Errno;
pub use synthetic::Synthetic;
pub use tree::Tree;

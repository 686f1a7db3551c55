//! The system calls of pwalk, and nothing else.
//!
//! Every call here takes a directory file descriptor and one name, never a path of several
//! components: a path can be changed under a privileged program between two calls, a descriptor
//! cannot. Names are NUL-terminated bytes from the kernel back to the kernel; nothing here knows
//! of UTF-8, of walking or of any output format.
//!
//! Errors are the kernel's own [`Errno`]. Who knows the path and the purpose (the engine) wraps
//! them; here there is nothing to add.
//!
//! The kernel must offer `statx` (Linux 4.11 and later). `rustix` carries the `unsafe`, but for two calls
//! that it does not have yet (`raw`).

mod accounts;
mod acl;
mod change;
mod content;
mod cores;
mod kind;
mod limits;
mod list;
mod lock;
mod magic;
mod make;
mod meta;
mod mounts;
mod name;
mod open;
mod raw;
mod usage;

pub use accounts::Accounts;
pub use acl::{ACCESS_ACL, Acl, AclEntry, AclTag, BadAcl, rwx};
pub use change::{
    TICK, attribute_at, attribute_of, change_time, is_surely_named, list_attributes, mount_of, open_quiet, path_of,
    pin, pin_path, remove_attribute, set_attribute, set_mode, set_owner, set_times,
};
pub use content::{
    Space, clone, copy_range, expect_all, forget_pages, go_to, next_data, read_at, send, set_length, space, sync,
    sync_file_system, write_all_at,
};
pub use cores::{Cores, CoresFrom, cores};
pub use kind::Kind;
pub use limits::{file_descriptor_limit, raise_file_descriptor_limit};
pub use list::{DirBuf, Dirent, More, Names};
pub use lock::try_lock;
pub use magic::{FsType, fs_type};
pub use make::{
    Replace, create_dir, create_file, create_link, create_node, create_unnamed, link_open, open_file, rename, umask,
};
pub use meta::{Freshness, Links, Meta, Time, stat_at, stat_fd, stat_path, stat_quick};
pub use mounts::{Mount, Mounts, below, mount_list, place_of};
pub use name::{May, is_empty_dir, may, read_link, remove};
pub use open::{at_path, open_child, open_path, open_root, pin_above};
pub use rustix::io::Errno;
pub use usage::{cpu_time, own_credentials, run_delay, thread_id};

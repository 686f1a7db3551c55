//! `pwalk repair`.

mod told;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use pwalk_engine::{Cancel, Ended, Mounts, Options, Snapshots, Threads};
use pwalk_ops::repair::{
    Applying, Doing, Listener, NewOwner, RepairError, RepairOptions, RepairSummary, apply_plan, group_number,
    read_excludes, run as repair, undo, user_number,
};
use std::os::unix::ffi::OsStrExt;

use crate::Exit;
use crate::args::{ProgressMode, Usage, threads};
use crate::out::Out;
use crate::progress::Show;
use crate::report::roots;
use crate::signals::cancel_on_signals;
use told::Told;

/// Repair the permissions of shared folders
///
/// Directories hand their group down (setgid) and their group can read and search them; the group can read files, and execute what
/// the owner executes. A group that is only its owner's (its number is the owner's, or 0, or in --change-gids) becomes that of the
/// nearest directory above whose group is not. Without --apply nothing is changed: the plan is shown.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk repair /shared                                 what would be changed, a line each
  pwalk repair /shared --plan plan.jsonl               the same for review, in a file
  pwalk repair --apply-plan plan.jsonl                 just that, where nothing has changed since
  pwalk repair /shared --apply --yes                   repair it, however much it is
  pwalk repair /shared/lab --force-group-writable --change-gids students,1234 --exclude /shared/lab/private
  pwalk repair /shared --chown-from 1042 --chown-to alice:lab --apply
  pwalk repair --undo /var/lib/pwalk/repair-20260921T101500.000000Z-4242.jsonl.zst

Never changed: links, fifos, sockets and devices; files with several names (hard links), unless
--allow-hardlinked; what is mounted below from elsewhere (bind mounts); /, /usr, /etc, /var and the
other directories of the system. A file's setuid and setgid never survive another owner or group.
Every change is in the journal before it is made (read it with: zstd -dc FILE) and told to syslog.
Exit codes: 0 COMPLETE, 1 PARTIAL (not everything could be read or changed), 2 usage, 3 refused or
failed, 130 interrupted.")]
pub(crate) struct RepairArgs {
    /// Directories (or files) to repair
    #[arg(value_name = "PATH", required_unless_present_any = ["apply_plan", "undo"], conflicts_with_all = ["apply_plan", "undo"])]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    doing: DoingArgs,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    walk: WalkArgs,
    /// Show progress on standard error; auto: on a terminal
    #[arg(long, value_enum, default_value = "auto", num_args = 0..=1, default_missing_value = "always", require_equals = true)]
    progress: ProgressMode,
    /// No plan, no progress and no summary; trouble is still told
    #[arg(short, long)]
    quiet: bool,
    /// One JSON object a line on standard output: each change, each trouble, and what it all came to
    #[arg(long)]
    json: bool,
}

/// What is done with the changes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Applying")]
struct DoingArgs {
    /// Make the changes
    #[arg(long, conflicts_with_all = ["plan", "apply_plan", "undo"])]
    apply: bool,
    /// Write the plan to a file, as JSON lines, for review
    #[arg(long, value_name = "FILE", conflicts_with_all = ["apply_plan", "undo"])]
    plan: Option<PathBuf>,
    /// Apply a reviewed plan, entry by entry, where identity and state are still as it says
    #[arg(long, value_name = "FILE", conflicts_with = "undo")]
    apply_plan: Option<PathBuf>,
    /// Take back what a journal says was changed, where it still is as it was left
    #[arg(long, value_name = "JOURNAL")]
    undo: Option<PathBuf>,
    /// Change nothing, only show; this is so without --apply, --apply-plan or --undo
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// Where to write the journal, a new file [default: below /var/lib/pwalk for root, else in the XDG state directory]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Make more than 10,000 changes without asking back
    #[arg(short, long)]
    yes: bool,
}

/// What is right.
#[derive(Args, Debug)]
#[command(next_help_heading = "Rules")]
struct RuleArgs {
    /// Groups, by number or name, that are replaced like private ones
    #[arg(long, value_name = "GROUP,…", value_delimiter = ',')]
    change_gids: Vec<String>,
    /// Groups can write, too: directories rwx, files rw-
    #[arg(long)]
    force_group_writable: bool,
    /// Change files with several names (hard links), too; the other names may be anywhere
    #[arg(long)]
    allow_hardlinked: bool,
    /// Give what belongs to this user, by number or name, to another
    #[arg(long, value_name = "USER", requires = "chown_to")]
    chown_from: Option<String>,
    /// The other user, and the group
    #[arg(long, value_name = "USER:GROUP", value_parser = user_group, requires = "chown_from")]
    chown_to: Option<UserGroup>,
}

/// `USER:GROUP`.
#[derive(Clone, Debug)]
struct UserGroup(String, String);

fn user_group(text: &str) -> Result<UserGroup, String> {
    match text.split_once(':') {
        Some((user, group)) if !user.is_empty() && !group.is_empty() => {
            Ok(UserGroup(user.to_owned(), group.to_owned()))
        }
        _ => Err("both a user and a group, as in alice:lab".to_owned()),
    }
}

/// What is looked at.
#[derive(Args, Debug)]
#[command(next_help_heading = "Walking")]
struct WalkArgs {
    /// Leave out this path and what is below it (repeatable); /a/b does not mean /a/bc
    #[arg(long, value_name = "PATH")]
    exclude: Vec<PathBuf>,
    /// The same, a path a line (repeatable)
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Repair snapshot directories too (.snapshot; .zfs and .snapshots where they are snapshots)
    #[arg(long)]
    include_snapshots: bool,
    /// Stay on the file systems of the given paths
    #[arg(short = 'x', long)]
    one_file_system: bool,
    /// Workers: a number, or auto: as many as pay, measured while walking
    #[arg(long, alias = "max-threads", value_name = "N|auto", default_value = "auto", value_parser = threads)]
    threads: Threads,
    /// At most so many system calls a second, to spare a server that others use
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_iops: Option<u64>,
}

pub(crate) fn run(args: &RepairArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let show = Show::new(args.progress, args.quiet);
    show.raise_file_descriptor_limit();
    let out = Out::new();
    let told = Arc::new(Told::new(&out, &cancel, args));
    let done = go(args, &cancel, &told, &show);
    show.finish();
    told.flush();
    let summary = match done {
        Ok(summary) => summary,
        Err(error) => return refused(args, &told, error),
    };
    told.summary(&summary, &show);
    told.flush();
    let exit = out.exit(summary.ended, !summary.is_complete());
    // Whoever loses the output must not lose what was done.
    exit.with_context(|| match &summary.journal {
        Some(journal) => {
            format!("{} changes were made, and can be taken back with --undo {}", summary.made, journal.display())
        }
        None => "nothing was changed".to_owned(),
    })
}

fn go(args: &RepairArgs, cancel: &Cancel, told: &Arc<Told>, show: &Show) -> Result<RepairSummary, RepairError> {
    let doing = &args.doing;
    let applying = Applying {
        journal: doing.journal.clone(),
        many: doing.yes,
        dry_run: doing.dry_run,
        max_iops: args.walk.max_iops,
    };
    let listener: Arc<dyn Listener> = Arc::clone(told) as Arc<dyn Listener>;
    if let Some(journal) = &doing.undo {
        return undo(journal, &applying, cancel, &listener);
    }
    if let Some(plan) = &doing.apply_plan {
        return apply_plan(plan, &applying, cancel, &listener);
    }
    if doing.plan.as_deref() == Some("-".as_ref()) {
        let why = "a plan is a file; for standard output there is --json".to_owned();
        return Err(RepairError::Plan { path: "-".into(), why });
    }
    let mut options = options(args, cancel)?;
    options.doing = if doing.apply { Doing::Apply(applying) } else { Doing::Plan { file: doing.plan.clone() } };
    repair(&options, &listener, show)
}

fn options(args: &RepairArgs, cancel: &Cancel) -> Result<RepairOptions, RepairError> {
    let RepairArgs { rules, walk, .. } = args;
    let mut exclude = roots(&walk.exclude);
    for file in &walk.exclude_from {
        exclude.extend(read_excludes(file)?);
    }
    let new_owner = match (&rules.chown_from, &rules.chown_to) {
        (Some(from), Some(UserGroup(user, group))) => {
            Some(NewOwner { from: user_number(from)?, uid: user_number(user)?, gid: group_number(group)? })
        }
        _ => None,
    };
    Ok(RepairOptions {
        private_groups: rules.change_gids.iter().map(|name| group_number(name)).collect::<Result<_, _>>()?,
        group_writable: rules.force_group_writable,
        new_owner,
        exclude,
        hard_linked: rules.allow_hardlinked,
        walk: Options {
            threads: walk.threads,
            max_iops: walk.max_iops,
            mounts: if walk.one_file_system { Mounts::Stay } else { Mounts::Cross },
            snapshots: if walk.include_snapshots { Snapshots::Include } else { Snapshots::Skip },
            cancel: cancel.clone(),
            ..Options::default()
        },
        ..RepairOptions::new(roots(&args.paths))
    })
}

/// Says why nothing, or no more, was done. What was asked for wrongly is a mistake in the arguments.
fn refused(args: &RepairArgs, told: &Told, error: RepairError) -> anyhow::Result<Exit> {
    let is_usage = matches!(
        error,
        RepairError::NoPath
            | RepairError::NoSuchGroup(_)
            | RepairError::NoSuchUser(_)
            | RepairError::ExcludeFrom { .. }
    );
    if args.json {
        told.failed(&error);
        told.flush();
    }
    if is_usage { Err(Usage(error.to_string()).into()) } else { Err(error.into()) }
}

/// Whether a run was interrupted.
fn interrupted(summary: &RepairSummary) -> bool {
    summary.ended == Ended::Cancelled
}

/// The bytes of a path.
fn bytes(path: &std::path::Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

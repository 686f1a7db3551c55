//! The bare engine: counts the entries of a tree, and nothing else.
//!
//! `cargo run --release -p pwalk-engine --example count -- PATH [names|meta] [THREADS]`

use pwalk_engine::{
    Batch, Context, Descend, Dir, Frontier, Needs, Options, Outcome, Silent, Sink, Threads, Visitor, fold,
};

struct Count(Needs);
struct Counter;

impl Visitor for Counter {
    type State = ();
    fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
        ((), Descend::Into)
    }
    fn batch(&mut self, _: &mut Context<'_, Self>, _: &mut Batch<'_, ()>) {}
}

impl Sink for Count {
    type Worker = Counter;
    type Summary = Outcome;
    type Error = std::convert::Infallible;
    fn needs(&self) -> Needs {
        self.0
    }
    fn worker(&self) -> Counter {
        Counter
    }
    fn finish(self, _: Vec<Counter>, outcome: &Outcome) -> Result<Outcome, Self::Error> {
        Ok(outcome.clone())
    }
}

#[expect(clippy::print_stdout, reason = "an example")]
fn main() {
    let mut args = std::env::args_os().skip(1);
    let Some(root) = args.next() else { return };
    let needs = if args.next().is_some_and(|a| a == "names") { Needs::Names } else { Needs::Meta };
    let threads = args.next().and_then(|a| a.to_str()?.parse().ok()).map_or(Threads::Adaptive, Threads::Fixed);
    let options = Options { threads, ..Options::default() };
    let start = Frontier::start([root.as_encoded_bytes()]);
    let Ok(outcome) = fold(Count(needs), start, &options, &Silent);
    println!(
        "{} entries {} dirs {} bytes {} errors {:.3} s, {} workers, {:?}",
        outcome.entries,
        outcome.dirs,
        outcome.bytes,
        outcome.errors,
        outcome.elapsed.as_secs_f64(),
        outcome.workers,
        outcome.ended
    );
}

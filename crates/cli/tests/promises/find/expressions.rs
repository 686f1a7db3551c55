//! Generated expressions: every test and operator, with arguments that some entries meet and others do not.

use pwalk_testkit::Random;

/// Tests and options that stand in an expression.
const TESTS: &[&str] = &[
    "-name *.bam",
    "-name a*",
    "-name *[0-9]",
    "-name ?*.*",
    "-name .*",
    "-name own",
    "-iname *.txt",
    "-iname SIZE*",
    "-path */own/*",
    "-path ./random/*",
    "-ipath *DIR*",
    "-wholename */names/*",
    "-lname *",
    "-lname dir*",
    "-ilname *DIR*",
    "-regextype posix-extended -regex .*/[a-z]*[0-9]+",
    "-regextype posix-basic -regex .*size\\{1,2\\}.*",
    "-regextype posix-extended -iregex .*/MODE.*",
    "-regextype posix-extended -regex .*/(age|mode)[0-9]+",
    "-type f",
    "-type d",
    "-type l",
    "-type f,l",
    "-type p,s,b,c",
    "-xtype f",
    "-xtype d",
    "-xtype l,d",
    "-size 0",
    "-size +0",
    "-size -2",
    "-size +100c",
    "-size 1k",
    "-size -1M",
    "-size +1M",
    "-size +2b",
    "-empty",
    "-mtime 0",
    "-mtime +1",
    "-mtime -3",
    "-mtime 9",
    "-mmin -100",
    "-mmin +1500",
    "-atime +2",
    "-amin -5",
    "-ctime 0",
    "-cmin +100",
    "-newer own/age25",
    "-anewer own/age49",
    "-cnewer own/age49",
    "-newermt 2020-01-01",
    "-newerma own/age73",
    "-used +1",
    "-used -1",
    "-perm 644",
    "-perm -100",
    "-perm /6000",
    "-perm -u+x,g-w",
    "-perm /a+w",
    "-perm u=rwx,go=rx",
    "-user root",
    "-user 1",
    "-uid +0",
    "-uid 12345",
    "-group root",
    "-gid -50000",
    "-gid 12",
    "-nouser",
    "-nogroup",
    "-links 1",
    "-links +2",
    "-inum +1000",
    "-samefile own/size1.bam",
    "-samefile own/to-dir",
    "-fstype ext4",
    "-fstype proc",
    "-readable",
    "-writable",
    "-executable",
    "-true",
    "-false",
    "-prune",
    "-print0",
    "-fprint0 /dev/stdout",
    "-printf %p\\0",
    "-printf %d:%y:%f\\0",
    "-printf %h/%f:%s:%m:%n\\0",
    "-printf %P:%H:%l:%u:%g\\0",
    "-printf %TY-%Tm-%Td:%i:%b:%k:%M\\0",
    "-xdev",
    "-noleaf",
];

/// Starting points and options, which stand first.
const STARTS: &[&str] = &[
    ".",
    "",
    "./",
    "own names random",
    "own/ deep/",
    "-L own random special",
    "-L own hard",
    "-H own/to-dir own/to-above links",
    "own/to-dir own/to-dir/ own/to-file",
    "-P -L -H own/to-dir",
    "own/size1.bam no-such own/dir0",
    ". -maxdepth 1",
    ". -maxdepth 2",
    "own -mindepth 1",
    ". -mindepth 2 -maxdepth 3",
    "own random -maxdepth 0",
    ". -depth",
    "own -depth -maxdepth 1",
    "-L own -depth",
    "random -depth -mindepth 2",
    ". -xdev",
    "own -daystart",
    "ab/ ./ab/ c/",
    "own -follow",
];

/// One command line.
pub(super) fn generate(random: &mut Random) -> Vec<String> {
    loop {
        let words = line(random);
        // What a comma divides is often for bfs to judge, and that rounds `-used` in its own way.
        if !["-used", ","].iter().all(|word| words.iter().any(|own| own == word)) {
            return words;
        }
    }
}

fn line(random: &mut Random) -> Vec<String> {
    let mut words = split(STARTS[random.below(STARTS.len())]);
    if random.below(20) > 0 {
        expression(random, 3, &mut words);
    }
    // What is found ends with a NUL, whatever is in its name.
    if !words.iter().any(|word| word.contains("print")) {
        if words.iter().any(|word| word == "-o" || word == ",") {
            let first = words.iter().rposition(|word| EARLY.contains(&word.as_str())).map_or(0, |at| at + 2);
            let begin = words.iter().skip(first).position(|word| starts(word)).map_or(words.len(), |at| at + first);
            words.insert(begin, "(".to_owned());
            words.push(")".to_owned());
        }
        words.push("-print0".to_owned());
    }
    words
}

/// Options with an argument that must not be put into parentheses' way.
const EARLY: &[&str] = &["-maxdepth", "-mindepth"];

fn starts(word: &str) -> bool {
    (word.starts_with('-') && !["-L", "-H", "-P"].contains(&word)) || word == "(" || word == "!"
}

fn split(text: &str) -> Vec<String> {
    text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn expression(random: &mut Random, depth: usize, words: &mut Vec<String>) {
    let parts = 1 + random.below(3);
    for part in 0..parts {
        if part > 0 {
            let operator = ["", "", "-a", "-o", "-o", ","][random.below(6)];
            words.extend(split(operator));
        }
        if random.below(5) == 0 {
            words.push(["!", "-not"][random.below(2)].to_owned());
        }
        if depth > 0 && random.below(4) == 0 {
            words.push("(".to_owned());
            expression(random, depth - 1, words);
            words.push(")".to_owned());
        } else {
            words.extend(split(TESTS[random.below(TESTS.len())]));
        }
    }
}

//! Bars, drawn as SVG: a bar to the median of a method's times, and a whisker from its least to its most.

use std::fmt::Write;

use crate::html::escape;
use crate::results::{Row, seconds};

const WIDTH: f64 = 860.0;
/// Where bars begin.
const LEFT: f64 = 190.0;
/// The room for bars.
const BARS: f64 = 470.0;
const ROW: f64 = 30.0;
const BAR: f64 = 16.0;
const TOP: f64 = 8.0;
/// A name has room for so many characters.
const NAME: usize = 25;

/// The chart of some methods.
pub(crate) fn chart(title: &str, rows: &[Row]) -> String {
    let most = rows.iter().filter_map(|row| row.max).fold(0.0, f64::max);
    let step = step(most);
    let end = if most > 0.0 { (most / step).ceil() * step } else { 1.0 };
    let at = |seconds: f64| LEFT + seconds / end * BARS;
    let below = rows.iter().fold(TOP, |y, _| y + ROW);
    let height = below + 28.0;
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let mut draw = |line: std::fmt::Arguments<'_>| svg.write_fmt(line).unwrap_or_default();
    draw(format_args!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
        escape(&format!("{title}: median of each method's times"))
    ));
    let mut tick = 0.0;
    while most > 0.0 && tick <= end * 1.001 {
        let x = at(tick);
        let label = if tick > 0.0 { seconds(tick) } else { "0".to_owned() };
        draw(format_args!("<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{below}\"/>\n"));
        let y = below + 18.0;
        draw(format_args!("<text class=\"tick\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>\n"));
        tick += step;
    }
    let mut top = TOP;
    for row in rows {
        draw(format_args!("<g>{}</g>\n", bar(row, top + ROW / 2.0, &at)));
        top += ROW;
    }
    draw(format_args!("</svg>\n"));
    svg
}

/// One method, its middle at the height `y`.
fn bar(row: &Row, y: f64, at: &dyn Fn(f64) -> f64) -> String {
    let (base, top) = (y + 4.0, y - BAR / 2.0);
    let mut out = format!("<title>{}</title>", escape(&format!("{}\n{}", row.speed_summary, row.description)));
    let x = LEFT - 10.0;
    out += &format!(
        "<text class=\"name\" x=\"{x}\" y=\"{base}\" text-anchor=\"end\">{}</text>",
        escape(&short(&row.method))
    );
    let Some(times) = row.spread() else {
        let what = if row.failed { "FAILED" } else { "not measured" };
        return out + &format!("<text class=\"failed\" x=\"{LEFT}\" y=\"{base}\">{what}</text>");
    };
    let kind = if row.baseline.as_deref() == Some(row.method.as_str()) { "bar yardstick" } else { "bar" };
    let (low, middle, high) = (at(times.min), at(times.median), at(times.max));
    let width = (middle - LEFT).max(1.0);
    out +=
        &format!("<rect class=\"{kind}\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>");
    let (above, under) = (y - 4.0, y + 4.0);
    out += &format!(
        "<path class=\"whisker\" d=\"M{low:.1} {above:.1}V{under:.1}M{low:.1} {y:.1}H{high:.1}M{high:.1} {above:.1}V{under:.1}\"/>"
    );
    let ratio = row.ratio.filter(|_| kind == "bar").map_or_else(String::new, |ratio| format!(" · {ratio:.2}×"));
    let x = high.max(middle) + 8.0;
    out + &format!("<text class=\"value\" x=\"{x:.1}\" y=\"{base}\">{}{ratio}</text>", seconds(times.median))
}

/// A distance of ticks, so that there are four to eight: 1, 2 or 5 times a power of ten.
fn step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let digit = rough / power;
    power
        * if digit >= 5.0 {
            5.0
        } else if digit >= 2.0 {
            2.0
        } else {
            1.0
        }
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for most in [0.000_7, 0.09, 0.1, 1.0, 3.3, 7.9, 99.0, 12_345.0] {
            let ticks = most / step(most);
            assert!((4.0..=10.1).contains(&ticks), "{most}: {ticks}");
        }
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(short("baseline"), "baseline");
        assert_eq!(short(&"é".repeat(60)), "é".repeat(24) + "…");
    }
}

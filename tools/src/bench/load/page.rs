//! Runs as one page that needs nothing else: latency by percentile, and what every second was like.

use std::fmt::Write;

use super::Report;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 12.0;
/// Of runs, in turn; told apart by most eyes.
const COLOURS: [&str; 4] = ["#0b6e99", "#c4552d", "#3a7d44", "#7a4b9a"];
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:920px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}\
svg{width:100%;height:auto}text{font:12px system-ui,sans-serif;fill:#555}.grid{stroke:#e4e4e4}.axis{stroke:#888}\
code{background:#f3f3f3;padding:.1rem .3rem;overflow-wrap:anywhere}.dot{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin-right:.4rem}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#333}text{fill:#aaa}.grid{stroke:#333}code{background:#2a2a2a}}";

/// A line of a plot: its points, its colour, whether it is dashed.
struct Line {
    points: Vec<(f64, f64)>,
    colour: &'static str,
    is_dashed: bool,
    /// Written above its end.
    label: String,
}

struct Plot<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
    /// Where the x axis is marked, and with what.
    marks: Vec<(f64, String)>,
    lines: Vec<Line>,
}

/// Names and runs; what they are told apart by is their order.
pub(super) fn page(runs: &[(&str, &Report)]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>pannier bench load</title><style>{STYLE}</style><h1>Load</h1>"
    );
    for ((name, report), colour) in runs.iter().zip(COLOURS.iter().cycle()) {
        let name = escaped(name);
        let text = escaped(&report.text());
        let _ = write!(
            page,
            "<p><span class=\"dot\" style=\"background:{colour}\"></span><code>{name}</code></p>"
        );
        let _ = write!(page, "{}", table(report));
        let _ = write!(page, "<details><summary>As text</summary><pre>{text}</pre></details>");
    }
    for plot in [by_percentile(runs), over_time(runs), rates(runs)] {
        page += &plot.drawn();
    }
    page + "<p>Latencies count from when a request was due.</p></html>\n"
}

fn table(report: &Report) -> String {
    let mut table =
        "<table><tr><th><th>a second<th>p50 ms<th>p90 ms<th>p99 ms<th>p99.9 ms<th>max ms<th>errors</tr>"
            .to_owned();
    for kind in &report.recorded.kinds {
        let errors = kind.errors.iter().map(|(error, count)| format!("{count} {}", escaped(error)));
        let errors = errors.collect::<Vec<_>>().join(", ");
        let _ = write!(
            table,
            "<tr><td>{}<td>{:.0}<td>{:.2}<td>{:.2}<td>{:.2}<td>{:.2}<td>{:.2}<td>{}</tr>",
            kind.kind,
            kind.per_second,
            kind.p50_ms,
            kind.p90_ms,
            kind.p99_ms,
            kind.p999_ms,
            kind.max_ms,
            if errors.is_empty() { "0" } else { &errors }
        );
    }
    table + "</table>"
}

/// So many nines: 90 % is 1, 99 % is 2.
fn nines(percentile: f64) -> f64 {
    -(1.0 - (percentile / 100.0).min(0.999_99)).log10()
}

fn by_percentile<'a>(runs: &[(&str, &Report)]) -> Plot<'a> {
    let mut lines = Vec::new();
    for ((_, report), colour) in runs.iter().zip(COLOURS.iter().cycle()) {
        let kinds = report.recorded.kinds.iter().enumerate();
        lines.extend(kinds.map(|(at, kind)| Line {
            points: kind.curve.iter().map(|(percentile, ms)| (nines(*percentile), *ms)).collect(),
            colour,
            is_dashed: at > 0,
            label: kind.kind.clone(),
        }));
    }
    let marks = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
    let marks = marks.map(|percentile| (nines(percentile), format!("{percentile} %")));
    Plot { title: "Latency by percentile", x: "of requests", y: "ms", marks: marks.to_vec(), lines }
}

fn over_time<'a>(runs: &[(&str, &Report)]) -> Plot<'a> {
    let mut lines = Vec::new();
    for ((_, report), colour) in runs.iter().zip(COLOURS.iter().cycle()) {
        for is_dashed in [false, true] {
            let of = |second: &super::recorded::Second| if is_dashed { second.p50_ms } else { second.p99_ms };
            let seconds = report.recorded.seconds.iter().enumerate();
            let points = seconds.map(|(at, second)| (at as f64 + 1.0, of(second))).collect();
            let label = if is_dashed { "p50" } else { "p99" }.to_owned();
            lines.push(Line { points, colour, is_dashed, label });
        }
    }
    Plot { title: "Latency over time", x: "second", y: "ms", marks: seconds_of(runs), lines }
}

fn rates<'a>(runs: &[(&str, &Report)]) -> Plot<'a> {
    let lines = runs.iter().zip(COLOURS.iter().cycle()).map(|((_, report), colour)| {
        let seconds = report.recorded.seconds.iter().enumerate();
        let points = seconds.map(|(at, second)| (at as f64 + 1.0, second.answered as f64)).collect();
        Line { points, colour, is_dashed: false, label: String::new() }
    });
    Plot {
        title: "Answered over time",
        x: "second",
        y: "a second",
        marks: seconds_of(runs),
        lines: lines.collect(),
    }
}

fn seconds_of(runs: &[(&str, &Report)]) -> Vec<(f64, String)> {
    let most = runs.iter().map(|(_, report)| report.recorded.seconds.len()).max().unwrap_or(1).max(1);
    let step = most.div_ceil(10).max(1);
    (1..=most).step_by(step).map(|second| (second as f64, second.to_string())).collect()
}

impl Plot<'_> {
    fn drawn(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x_max = points().map(|point| point.0).fold(1.0, f64::max);
        let x_min = points().map(|point| point.0).fold(x_max, f64::min);
        let step = step(points().map(|point| point.1).fold(0.0, f64::max));
        let y_max = (points().map(|point| point.1).fold(0.0, f64::max) / step).ceil().max(1.0) * step;
        let x = |at: f64| LEFT + (at - x_min) / (x_max - x_min).max(1e-9) * (WIDTH - LEFT - 16.0);
        let y = |at: f64| TOP + (1.0 - at / y_max) * (HEIGHT - TOP - BOTTOM);
        let (right, floor) = (WIDTH - 16.0, HEIGHT - BOTTOM);
        let mut svg = format!(
            "<h2>{}, {}</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            self.title, self.y, self.title
        );
        let mut at = 0.0;
        while at <= y_max + step / 2.0 {
            let (height, label) = (y(at), short(at));
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>"
            );
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 6.0,
                height + 4.0
            );
            at += step;
        }
        for (at, label) in self.marks.iter().filter(|(at, _)| (x_min..=x_max).contains(at)) {
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{floor}\"/><text x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\">{label}</text>",
                x(*at),
                floor + 16.0
            );
        }
        let _ =
            write!(svg, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{floor}\" y2=\"{floor}\"/>");
        let _ =
            write!(svg, "<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>", HEIGHT - 6.0, self.x);
        for line in &self.lines {
            let path = line.points.iter().map(|(at, of)| format!("{:.1},{:.1}", x(*at), y(*of)));
            let dashes = if line.is_dashed { " stroke-dasharray=\"5 4\"" } else { "" };
            let _ = write!(
                svg,
                "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{dashes} points=\"{}\"/>",
                line.colour,
                path.collect::<Vec<_>>().join(" ")
            );
            if let Some((at, of)) = line.points.last() {
                let (x, y) = (x(*at), y(*of) - 6.0);
                let _ =
                    write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>", line.label);
            }
        }
        svg + "</svg>"
    }
}

/// Between two lines of the grid: 1, 2 or 5 of a power of ten, so that there are about five.
fn step(most: f64) -> f64 {
    let rough = (most / 5.0).max(1e-3);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|of| of * power).find(|step| *step >= rough).unwrap_or(power * 10.0)
}

fn short(figure: f64) -> String {
    let text = if figure >= 10.0 { format!("{figure:.0}") } else { format!("{figure:.3}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::recorded::{KindRecorded, Recorded, Second};

    fn report(p99_ms: f64) -> Report {
        let kind = KindRecorded {
            kind: "lookups".to_owned(),
            answered: 100,
            per_second: 50.0,
            p50_ms: 1.0,
            p90_ms: 2.0,
            p99_ms,
            p999_ms: 4.0,
            max_ms: 5.0,
            curve: vec![(0.0, 0.5), (50.0, 1.0), (99.0, p99_ms), (100.0, 5.0)],
            errors: [("<behind>".to_owned(), 2)].into_iter().collect(),
        };
        let second = Second { answered: 50, errors: 1, p50_ms: 1.0, p99_ms, max_ms: 5.0 };
        let recorded = Recorded { kinds: vec![kind], seconds: vec![second.clone(), second] };
        Report {
            command: "bench load".to_owned(),
            rate: Some(50.0),
            connections: 2,
            price_rows: 10_000,
            lines: 20,
            measured_seconds: 2,
            storm: None,
            server: None,
            highest_rate: None,
            recorded,
        }
    }

    #[test]
    fn a_page_has_both_runs_and_all_plots_and_no_foreign_text() {
        let (one, other) = (report(3.0), report(2.0));
        let page = page(&[("before", &one), ("a<b", &other)]);
        assert_eq!(page.matches("<svg").count(), 3);
        assert_eq!(page.matches("<polyline").count(), 2 + 4 + 2);
        assert!(page.contains("a&lt;b") && page.contains("&lt;behind&gt;") && !page.contains("<behind>"));
        assert!(!page.contains("NaN") && !page.contains("http"), "it needs nothing else");
    }

    #[test]
    fn grids_have_round_steps() {
        for (most, want) in [(0.0, 0.001), (4.9, 1.0), (7.0, 2.0), (23.0, 5.0), (1_000.0, 200.0)] {
            assert!((step(most) - want).abs() < want / 1e3, "{most}: {}", step(most));
        }
        assert_eq!([short(0.5), short(12.0), short(0.0), short(1_500.0)], ["0.5", "12", "0", "1500"]);
    }
}

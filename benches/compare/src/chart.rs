//! The chart: one panel for each case, one bar for each peer, as long as its ratio to the floor.

use std::{error::Error, path::Path};

use plotters::{
    prelude::{DrawingArea, IntoDrawingArea, Rectangle, SVGBackend, Text, WHITE},
    style::{Color, IntoFont, RGBColor, TextStyle},
};

use crate::report::{Outcome, is_plain_echo};

const PANEL: (u32, u32) = (480, 290);
const BAR: i32 = 17;
const LABELS: i32 = 190;
/// What is longer is cut off, and its number says so.
const LONGEST: f64 = 8.0;

const INK: RGBColor = RGBColor(40, 40, 40);
const PEER: RGBColor = RGBColor(150, 165, 185);
const OURS: RGBColor = RGBColor(210, 80, 60);
const FLOOR: RGBColor = RGBColor(200, 200, 200);

/// Draws the echo cases.
///
/// # Errors
///
/// A file that cannot be written.
pub fn draw(outcomes: &[Outcome], to: &Path) -> Result<(), Box<dyn Error>> {
    let outcomes: Vec<_> = outcomes.iter().filter(|outcome| is_plain_echo(outcome.case)).collect();
    if outcomes.is_empty() {
        return Ok(());
    }
    let rows = outcomes.len().div_ceil(2);
    let root = SVGBackend::new(to, (2 * PANEL.0, rows as u32 * PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    for (outcome, panel) in outcomes.iter().zip(root.split_evenly((rows, 2))) {
        draw_panel(outcome, &panel)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(
    outcome: &Outcome,
    panel: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
) -> Result<(), Box<dyn Error>> {
    let font = |size: i32| TextStyle::from(("sans-serif", size).into_font()).color(&INK);
    let title = format!("{}: server CPU per message, raw = 1", outcome.case.name);
    panel.draw(&Text::new(title, (12, 12), font(15)))?;
    let unit = f64::from(PANEL.0 as i32 - LABELS - 60) / LONGEST;
    let mut top = 38;
    for series in &outcome.series {
        let Some(ratio) = outcome.ratio(series) else { continue };
        let fill = match series.peer {
            "sockeye" => OURS,
            crate::peers::FLOOR => FLOOR,
            _ => PEER,
        };
        let end = LABELS + (ratio.min(LONGEST) * unit) as i32;
        panel.draw(&Text::new(series.peer, (12, top), font(13)))?;
        panel.draw(&Rectangle::new([(LABELS, top), (end, top + BAR - 4)], fill.filled()))?;
        panel.draw(&Text::new(format!("{ratio:.2}"), (end + 5, top), font(13)))?;
        top += BAR;
    }
    Ok(())
}

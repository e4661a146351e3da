//! Charts of a few lines of text.

const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar from the left, as long as `share` of `width`; whatever is there at all is seen.
pub(super) fn bar(share: f64, width: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).ceil() as usize;
    let mut bar: String = std::iter::repeat_n(EIGHTHS[7], eighths / 8).collect();
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar
}

/// Values over time from the left to the right, each as high as its share of the largest.
pub(super) fn line(values: &[f64], width: usize) -> String {
    let per_column = values.len().div_ceil(width.max(1)).max(1);
    let columns: Vec<f64> =
        values.chunks(per_column).map(|column| column.iter().sum::<f64>() / column.len() as f64).collect();
    let most = columns.iter().copied().fold(0.0, f64::max);
    let height = |value: &f64| if most > 0.0 { HEIGHTS[((value / most) * 7.0).round() as usize] } else { HEIGHTS[0] };
    columns.iter().map(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share() {
        assert_eq!(bar(0.0, 4), "");
        assert_eq!(bar(0.001, 4), "▏");
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(1.0, 4), "████");
    }

    #[test]
    fn lines_are_as_high_as_their_share_and_no_wider_than_asked_for() {
        assert_eq!(line(&[0.0, 50.0, 100.0], 10), "▁▅█");
        assert_eq!(line(&[0.0, 0.0], 10), "▁▁");
        assert_eq!(line(&[1.0; 100], 7).chars().count(), 7);
    }
}

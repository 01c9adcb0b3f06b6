//! Curves through points, and where they lead.

/// Points, by their first coordinate.
pub(super) type Points = Vec<(f64, f64)>;

fn sum(points: &Points, term: impl Fn(f64, f64) -> f64) -> f64 {
    points.iter().map(|(x, y)| term(*x, *y)).sum()
}

/// The means of both coordinates, and how far the first ones spread; `None` for less than two points.
fn moments(points: &Points) -> Option<(f64, f64, f64)> {
    let count = points.len() as f64;
    let (middle, mean) = (sum(points, |x, _| x) / count, sum(points, |_, y| y) / count);
    let spread = sum(points, |x, _| (x - middle).powi(2));
    (spread > 0.0).then_some((middle, mean, spread))
}

/// The value at `x` of the line that fits `points` best.
pub(super) fn line(points: &Points, x: f64) -> Option<f64> {
    let (middle, mean, spread) = moments(points)?;
    let slope = sum(points, |x, y| (x - middle) * y) / spread;
    Some(mean + slope * (x - middle))
}

/// The value at `x` of the parabola that fits `points` best: the line, and a bow that is orthogonal to it
/// over the points, which are equally far apart.
pub(super) fn parabola(points: &Points, x: f64) -> Option<f64> {
    if points.len() < 3 {
        return None;
    }
    let (middle, _, spread) = moments(points)?;
    let flat = spread / points.len() as f64;
    let bow = |x: f64| (x - middle).powi(2) - flat;
    let bowed = sum(points, |x, _| bow(x).powi(2));
    let bend = sum(points, |x, y| bow(x) * y) / bowed;
    Some(line(points, x)? + bend * bow(x))
}

/// The last of `points` and `ahead` more steps, each the same mix of the two before it: the mix that
/// fits the steps among `points` best.
pub(super) fn swing(points: &Points, ahead: usize) -> Option<f64> {
    let steps: Vec<f64> = points.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    if steps.len() < 4 {
        return None;
    }
    let dot =
        |a: usize, b: usize| -> f64 { steps.windows(3).map(|three| three[a] * three[b]).sum() };
    let det = dot(1, 1) * dot(0, 0) - dot(0, 1).powi(2);
    if det <= dot(1, 1) * dot(0, 0) * 1e-9 {
        return None;
    }
    let newer = (dot(1, 2) * dot(0, 0) - dot(0, 2) * dot(0, 1)) / det;
    let older = (dot(0, 2) * dot(1, 1) - dot(1, 2) * dot(0, 1)) / det;
    let (mut before, mut step) = (steps[steps.len() - 2], steps[steps.len() - 1]);
    let mut place = points.last()?.1;
    for _ in 0..ahead {
        (before, step) = (step, newer * step + older * before);
        place += step;
    }
    Some(place)
}

/// Least points for the four numbers that make an arc, and some more to tell it from unrest.
const ARC: usize = 8;
/// What the turns from the middle of the points to their end are looked for between: squared, in radians.
const TURNS: [f64; 3] = [0.05, 0.9, 2.4];
/// How close to the best of these it is looked again.
const CLOSER: f64 = 0.3;

/// The value at `x` of the piece of a sine that fits `points` best. How far off a sine is is nearly a parabola
/// of its squared turn, so that three of them tell where the best one is.
pub(super) fn arc(points: &Points, x: f64) -> Option<f64> {
    if points.len() < ARC {
        return None;
    }
    let half = points.len() as f64 / 2.0;
    let off = |square: f64| Some((square, sine(points, square.sqrt() / half, x)?.0));
    let best = |squares: [f64; 3]| {
        let [a, b, c] = squares.map(off);
        let (low, high) = (TURNS[0], TURNS[2]);
        Some(lowest(a?, b?, c?).clamp(low, high))
    };
    let near = best(TURNS)?.max(TURNS[0] + CLOSER);
    let square = best([near - CLOSER, near, near + CLOSER])?;
    sine(points, square.sqrt() / half, x).map(|(_, value)| value)
}

/// Where the parabola through three points, from left to right, is lowest; at its lowest end if it is bowed
/// the other way.
fn lowest(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> f64 {
    let (left, right) = ((b.1 - a.1) / (b.0 - a.0), (c.1 - b.1) / (c.0 - b.0));
    let bow = (right - left) / (c.0 - a.0);
    if bow > 0.0 {
        return (a.0 + b.0 - left / bow) / 2.0;
    }
    if a.1 < c.1 { a.0 } else { c.0 }
}

/// How far off the best sine that turns by `turn` from point to point is in all, and its value at `x`.
fn sine(points: &Points, turn: f64, x: f64) -> Option<(f64, f64)> {
    let (middle, mean, _) = moments(points)?;
    let wave = |x: f64| (turn * (x - middle)).sin_cos();
    let waves: Vec<(f64, f64)> = points.iter().map(|(x, _)| wave(*x)).collect();
    let both = || waves.iter().zip(points).map(|((sin, cos), (_, y))| (sin, cos, y - mean));
    // Round the middle of equally far points the sine is orthogonal to the cosine and to what is even.
    let level = waves.iter().map(|wave| wave.1).sum::<f64>() / points.len() as f64;
    let odd = both().map(|(sin, _, y)| sin * y).sum::<f64>()
        / waves.iter().map(|wave| wave.0.powi(2)).sum::<f64>();
    let even = both().map(|(_, cos, y)| cos * y).sum::<f64>()
        / waves.iter().map(|wave| (wave.1 - level).powi(2)).sum::<f64>();
    let value = |(sin, cos): (f64, f64)| odd * sin + even * (cos - level);
    let off = both().map(|(sin, cos, y)| (value((*sin, *cos)) - y).powi(2)).sum::<f64>();
    off.is_finite().then(|| (off, mean + value(wave(x))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_lowest_at_its_bottom_and_one_bowed_the_other_way_at_an_end() {
        let three = |value: fn(f64) -> f64| {
            let [a, b, c] = [1.0, 2.0, 4.0].map(|x| (x, value(x)));
            lowest(a, b, c)
        };
        assert_eq!(three(|x| (x - 3.0).powi(2)), 3.0);
        assert_eq!(three(|x| -(x - 3.0).powi(2)), 1.0);
        assert_eq!(three(|x| -(x - 2.0).powi(2)), 4.0);
        assert_eq!([three(|x| x), three(|x| -x)], [1.0, 4.0], "a line has no bottom");
    }
}

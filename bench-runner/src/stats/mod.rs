//! Statistics over runs: location, intervals, comparisons and profiles.

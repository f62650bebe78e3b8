// A target that only compiles headers needs a source.

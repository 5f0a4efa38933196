package client

// Spread is the default of Options.Backoff with chance of the test's own.
var Spread = spread

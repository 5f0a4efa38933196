// Package host is the common part of the servers under a load generator: they report
// where they listen, publish on request, and report how much memory they use.
package host

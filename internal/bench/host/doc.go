// Package host is what the servers under a load generator have in common: they say
// where they listen, publish when they are asked to, and tell what memory they hold.
package host

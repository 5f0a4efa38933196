// Package host is the common part of the servers that are measured with a load generator:
// they print their addresses, publish on request, and report how much memory they use.
package host

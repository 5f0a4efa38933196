// Package client is the client of a durable iterator. (text follows)
package client

package socket

import (
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The memory of a connection is freed when it has ended, for whatever reason.
func TestEndedConnIsFreed(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"the peer drops it":  func(p *peer) { _ = p.nc.Close() },
		"the peer closes it": func(p *peer) { p.send(opClose, "\x03\xe8") },
		"a message is too large": func(p *peer) {
			_, _ = p.nc.Write(append([]byte{finalFrame | opText, 0x80 | 126, 8, 0, 0, 0, 0, 0}, make([]byte, 2048)...))
		},
		"it is killed":              func(p *peer) { p.conn.Kill() },
		"it is closed, and dropped": func(p *peer) { p.conn.Close(1000, ""); _ = p.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			pool := NewPool(1, 0)
			freed := make(chan struct{})
			func() {
				src := &script{}
				runtime.AddCleanup(src, func(freed chan struct{}) { close(freed) }, freed)
				server, client := net.Pipe()
				p := connect(t, pool, src, server, client)
				go func() {
					for op := byte(0); op != opClose; {
						var err error
						if op, _, err = p.tryRead(); err != nil {
							break
						}
					}
					_ = p.nc.Close()
				}()
				end(p)
				<-p.code
			}()
			pool.Close()
			for range 100 {
				runtime.GC()
				select {
				case <-freed:
					return
				default:
					runtime.Gosched()
				}
			}
			require.Fail(t, "the connection is still in memory")
		})
	}
}

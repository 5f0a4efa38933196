package socket

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestUnmask(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	key := [4]byte{1, 20, 77, 254}
	for range 200 {
		offset := rnd.IntN(9)
		got := make([]byte, rnd.IntN(100))
		want := make([]byte, len(got))
		for i := range got {
			got[i] = byte(rnd.Uint32())
			want[i] = got[i] ^ key[(offset+i)%4]
		}
		unmask(got, key, offset)
		require.Equal(t, want, got)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]string{
		0: "\x00", 1: "\x01", 125: "\x7d",
		126: "\x7e\x00\x7e", 65_535: "\x7e\xff\xff",
		65_536: "\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 1 << 32: "\x7f\x00\x00\x00\x01\x00\x00\x00\x00",
	} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			require.Equal(t, "\x81"+want, string(AppendHeader(nil, false, size)))
			sent := AppendHeader([]byte("the frame before"), true, size)
			require.Equal(t, "the frame before\x82"+want, string(sent))

			received := AppendHeader(nil, true, size)
			received[1] |= maskedFrame
			received = append(received, 1, 2, 3, 4)
			require.Equal(t, len(received), headerSize(received[1]))
			h, fault := parseHeader(received)
			require.Empty(t, fault)
			require.Equal(t, header{final: true, op: opBinary, length: uint64(size), key: [4]byte{1, 2, 3, 4}}, h)
		})
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 125, 126, 65_535, 65_536} {
		message := bytes.Repeat([]byte("x"), size)
		for _, binary := range []bool{false, true} {
			require.Equal(t, append(AppendHeader(nil, binary, size), message...), Frame(message, binary), size)
		}
	}
}

func TestMaySend(t *testing.T) {
	t.Parallel()
	for code, may := range map[int]bool{
		-1: false, 0: false, 999: false, 1000: true, 1003: true, 1004: false, 1005: false, 1006: false, 1007: true, 1014: true,
		1015: false, 2999: false, 3000: true, 4999: true, 5000: false, 70000: false,
	} {
		require.Equal(t, may, MaySend(code), code)
	}
}

func TestCloseReasons(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ reason, want string }{
		"short":                  {"bye", "bye"},
		"as long as permitted":   {strings.Repeat("x", 123), strings.Repeat("x", 123)},
		"too long":               {strings.Repeat("x", 124), strings.Repeat("x", 123)},
		"cut in a character":     {strings.Repeat("é", 100), strings.Repeat("é", 61)},
		"cut in a long one":      {"x" + strings.Repeat("😀", 100), "x" + strings.Repeat("😀", 30)},
		"not UTF-8":              {"a\xffb", "a\uFFFDb"},
		"not UTF-8 and too long": {strings.Repeat("\xff", 1000), strings.Repeat("\uFFFD", 41)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frame := appendClose(nil, 1000, test.reason)
			require.Equal(t, test.want, string(frame[4:]))
			require.True(t, utf8.Valid(frame[4:]))
			require.Equal(t, len(frame)-2, int(frame[1]))
		})
	}
}

// A fault of the client closes the connection with a code for it.
func TestFaultsOfThePeer(t *testing.T) {
	announce := func(first byte, size uint64) string {
		return string(append(binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, size), 0, 0, 0, 0))
	}
	fragment := func(first byte, payload string) string { return string(masked(first, payload)) }
	for name, test := range map[string]struct {
		sent string
		code int
	}{
		"a header that announces too much":      {announce(finalFrame|opText, 1<<10+1), 1009},
		"a header that announces far too much":  {announce(finalFrame|opBinary, 1<<62), 1009},
		"a fragment that announces too much":    {fragment(opText, "x") + announce(finalFrame, 1<<10), 1009},
		"a fragment that is not the last":       {fragment(opText, "x") + announce(0, 1<<10), 1009},
		"a length that is none":                 {announce(finalFrame|opText, 1<<63), 1002},
		"text that is not UTF-8":                {fragment(finalFrame|opText, "a\xff"), 1007},
		"half a character":                      {fragment(finalFrame|opText, "\xc3"), 1007},
		"fragmented text that is not UTF-8":     {fragment(opText, "a\xc3") + fragment(finalFrame, "b"), 1007},
		"a close reason that is not UTF-8":      {fragment(finalFrame|opClose, "\x03\xe8\xff"), 1007},
		"half a close code":                     {fragment(finalFrame|opClose, "\x03"), 1002},
		"a close code that may not be sent":     {fragment(finalFrame|opClose, "\x03\xed"), 1002},
		"a close code out of range":             {fragment(finalFrame|opClose, "\x00\x05"), 1002},
		"a frame without a mask":                {"\x81\x01x", 1002},
		"reserved bits":                         {fragment(finalFrame|0x40|opText, "x"), 1002},
		"an unknown opcode":                     {fragment(finalFrame|0x3, "x"), 1002},
		"an unknown control frame":              {fragment(finalFrame|0xB, "x"), 1002},
		"a control frame in fragments":          {fragment(opPing, "x"), 1002},
		"a long control frame":                  {"\x89\xfe\x00\x7e\x00\x00\x00\x00" + strings.Repeat("x", 126), 1002},
		"a continuation alone":                  {fragment(finalFrame, "x"), 1002},
		"a message within a message":            {fragment(opText, "x") + fragment(finalFrame|opText, "y"), 1002},
		"a continuation of a refused message":   {announce(finalFrame|opText, 1<<10+1) + "x", 1009},
		"a message whose fragments have no end": {fragment(opText, "") + strings.Repeat(fragment(0, ""), maxFragments+1), 1008},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
				p := connect()
				go func() { _, _ = p.nc.Write([]byte(test.sent)) }()
				begin := time.Now()
				op, payload := p.read()
				require.Equal(t, byte(opClose), op)
				require.Equal(t, test.code, int(binary.BigEndian.Uint16([]byte(payload))))
				require.True(t, utf8.ValidString(payload[2:]))
				require.Zero(t, time.Since(begin))
				require.Empty(t, p.got)
				p.end()
			})
		})
	}
}

// Messages of exactly the read limit are within it.
func TestReadLimit(t *testing.T) {
	const limit = 1 << 10
	for name, frames := range map[string][][]byte{
		"one frame":      {masked(finalFrame|opText, strings.Repeat("x", limit))},
		"fragments":      {masked(opText, strings.Repeat("x", limit-1)), masked(finalFrame, "x")},
		"an empty last":  {masked(opText, strings.Repeat("x", limit)), masked(0, ""), masked(finalFrame, "")},
		"an empty first": {masked(opText, ""), masked(finalFrame, strings.Repeat("x", limit))},
		"many fragments": slices.Concat(
			[][]byte{masked(opText, "")}, slices.Repeat([][]byte{masked(0, "")}, maxFragments-1), [][]byte{masked(finalFrame, "")},
		),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
				p := connect()
				for _, frame := range frames {
					_, err := p.nc.Write(frame)
					require.NoError(t, err)
				}
				synctest.Wait()
				require.Len(t, p.got, 1)
				p.end()
			})
		})
	}
}

func TestCharactersMayBeSplit(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *Pool, connect func() *peer) {
		p := connect()
		for _, frame := range [][]byte{masked(opText, "h\xc3"), masked(0, "\xa9"), masked(finalFrame, "!")} {
			_, err := p.nc.Write(frame)
			require.NoError(t, err)
		}
		p.send(opBinary, "\xff")
		_, err := p.nc.Write(slices.Concat(masked(opBinary, "\xc3"), masked(finalFrame, "")))
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []string{"hé!", "\xff", "\xc3"}, p.got)
		require.Equal(t, []bool{false, true, true}, p.bin)
		p.end()
	})
}

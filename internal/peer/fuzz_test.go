package peer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecodeRequest and FuzzDecodeResponse check that no frame makes a decoder panic, and
// that a decoded message is encoded in the same way each time.
func FuzzDecodeRequest(f *testing.F) { fuzzDecode(f, DecodeRequest) }

func FuzzDecodeResponse(f *testing.F) { fuzzDecode(f, DecodeResponse) }

func fuzzDecode(f *testing.F, decode func(Frame) (Message, error)) {
	v := loadVectors(f)
	for _, cases := range [][]vectorCase{v.Request, v.Response, v.DecodeRequest, v.DecodeResponse, v.DecodeErrors} {
		for _, c := range cases {
			frame := c.Wire.decode(f)
			f.Add(frame.Data, frame.Binary)
		}
	}
	f.Add([]byte(`{"i":"\ud800","t":3,"p":{"e":"\u0000","d":[[{"a":"\\\""}]],"m":{"comments":[],"retry":0,"id":"\n"}}}`), false)
	f.Add([]byte(`{"p":{"u":"http://u:p@X.example:80\\%2e./%2e?a b#c","h":{"A B":["",""]},"m":""}}`), false)
	f.Fuzz(func(t *testing.T, data []byte, binary bool) {
		m, err := decode(Frame{Data: data, Binary: binary})
		if err != nil {
			var bad *DecodeError
			require.ErrorAs(t, err, &bad)
			return
		}
		once := encode(t, m)
		again, err := decode(once)
		require.NoError(t, err, "%s", once.Data)
		require.Equal(t, string(once.Data), string(encode(t, again).Data))
	})
}

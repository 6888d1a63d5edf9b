package bundle
import ("testing";"bytes";"fmt";"time";"os";"path/filepath";"strings";"github.com/klauspost/compress/zstd")
func TestW(t *testing.T){
 rnd:=randomBytes(32<<20); var js bytes.Buffer
 for i := range 200000 { fmt.Fprintf(&js, `{"add":{"path":"part-%d.parquet","size":%d,"dataChange":true}}`+"\n", i, i*7919) }
 var pq []byte
 filepath.Walk("/work/shared/testdata", func(p string, i os.FileInfo, e error) error { if e==nil && strings.HasSuffix(p,".parquet") && len(pq)<32<<20 { b,_:=os.ReadFile(p); pq=append(pq,b...)}; return nil})
 for _,low:=range []bool{true,false}{ for _,w:=range []int{1,2,4,8}{ for _,l:=range []int{1,3,6,10} {
  s:=fmt.Sprintf("low=%v w=%dM l=%d:",low,w,l)
  var mem int64
  for _,in:=range [][]byte{rnd,js.Bytes(),pq}{
   if l==10 && len(in)>16<<20 {in=in[:8<<20]}
   var d time.Duration; var cw cntw
   mem=max(mem,heapGrowth(func(){ z,_:=zstd.NewWriter(&cw,zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(l)),zstd.WithEncoderConcurrency(1),zstd.WithLowerEncoderMem(low),zstd.WithWindowSize(w<<20))
    t0:=time.Now(); for b:=in; len(b)>0; {n:=min(len(b),65536); z.Write(b[:n]); b=b[n:]}; z.Close(); d=time.Since(t0)}))
   s+=fmt.Sprintf("  %4.0fMB/s %.3f", float64(len(in))/1e6/d.Seconds(), float64(cw)/float64(len(in)))
  }
  fmt.Println(s, mem>>10,"KiB")
 }}}
}
type cntw int
func (c *cntw) Write(p []byte)(int,error){*c+=cntw(len(p));return len(p),nil}

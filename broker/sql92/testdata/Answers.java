// Reads cases (tab separated: expression, name, value, name, value, ...) and writes each with the answer of the Java filter in
// front: T, F, N (null), E (evaluation threw), X (did not compile). Needs rocketmq-filter, -common and what they need.
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.rocketmq.filter.SqlFilter;
import org.apache.rocketmq.filter.expression.*;

public class Answers {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        for (String line; (line = in.readLine()) != null; ) {
            String[] f = line.split("\t", -1);
            final Map<String, String> props = new HashMap<>();
            for (int i = 1; i + 1 < f.length; i += 2) props.put(f[i], f[i + 1]);
            out.println(answer(f[0], props) + "\t" + line);
        }
        out.flush();
    }

    static String answer(String sql, final Map<String, String> props) {
        Expression e;
        try {
            e = new SqlFilter().compile(sql);
        } catch (Throwable t) {
            return "X";
        }
        try {
            Object r = e.evaluate(new EvaluationContext() {
                public Object get(String name) { return props.get(name); }
                public Map<String, Object> keyValues() { return new HashMap<String, Object>(props); }
            });
            return r == null ? "N" : (Boolean) r ? "T" : "F";
        } catch (Throwable t) {
            return "E";
        }
    }
}

// The file that tests/torture/torture.c is told by: which call of which kind fails.
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What is failed in turn, and torture.c's number for it. */
export const KINDS = { memory: 1, curl: 2, tls: 3, calls: 4, start: 5 };

const AT = 0, KIND = 4, CALLS = 8, FAILED = 12, CALL = 16, CALL_SIZE = 32, FRAMES = 48, MOST_FRAMES = 16;
const SIZE = FRAMES + 8 * MOST_FRAMES;

export class Plan {
    constructor() {
        this.dir = mkdtempSync(path.join(tmpdir(), 'sluice-torture-'));
        this.path = path.join(this.dir, 'plan');
        this.fd = openSync(this.path, 'w+');
        ftruncateSync(this.fd, SIZE);
    }

    #set(offset, value) {
        const b = Buffer.alloc(4);
        b.writeUInt32LE(value);
        writeSync(this.fd, b, 0, 4, offset);
    }

    #get(offset) {
        const b = Buffer.alloc(4);
        readSync(this.fd, b, 0, 4, offset);
        return b.readUInt32LE();
    }

    /** From now on the n-th call of that kind fails, once. */
    arm(kind, n) {
        this.#set(AT, 0);
        this.#set(KIND, KINDS[kind]);
        this.#set(CALLS, 0);
        this.#set(FAILED, 0);
        writeSync(this.fd, Buffer.alloc(SIZE - CALL), 0, SIZE - CALL, CALL);
        this.#set(AT, n);
    }

    /** No more; { failed, calls }: whether it came to that, and how many calls there were. */
    disarm() {
        this.#set(AT, 0);
        return { failed: this.#get(FAILED) === 1, calls: this.#get(CALLS) };
    }

    /** What failed, and who had called it. */
    where(binary) {
        const b = Buffer.alloc(SIZE);
        readSync(this.fd, b, 0, SIZE, 0);
        const call = b.subarray(CALL, CALL + CALL_SIZE).toString('latin1').replace(/\0.*$/s, '');
        const frames = [];
        for (let i = 0; i < MOST_FRAMES; i++) {
            const at = b.readBigUInt64LE(FRAMES + 8 * i);
            if (at === 0n) break;
            frames.push(`0x${(at - 1n).toString(16)}`);
        }
        if (frames.length === 0) return call;
        const lines = execFileSync('addr2line', ['-f', '-s', '-e', binary, ...frames], { encoding: 'utf8' }).trim().split('\n');
        const names = [];
        for (let i = 0; i + 1 < lines.length; i += 2) names.push(`${lines[i]} (${lines[i + 1]})`);
        return `${call} < ${names.join(' < ')}`;
    }

    close() {
        closeSync(this.fd);
        rmSync(this.dir, { recursive: true, force: true });
    }
}

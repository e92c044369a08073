<?php
/**
 * Runs a site's wp-config.php and reports what it has set when it comes to wp-settings.php.
 *
 * A stub replaces ABSPATH's wp-settings.php, so no WordPress is loaded and no database is asked.
 * Reads one JSON object from stdin: file, abspath, names, mark, server, trusted. Writes the mark and
 * one line of JSON to stdout, whatever the configuration itself prints. Runs on PHP 5.6 and later.
 */

final class Wpbridge_Config
{
    private static $asked;
    private static $told = false;

    /** Prepares the process as a web server does, and returns the file to be run. */
    public static function begin()
    {
        self::$asked = json_decode(stream_get_contents(STDIN), true);
        register_shutdown_function(array(__CLASS__, 'ended'));
        ob_start();
        unset($GLOBALS['argv'], $GLOBALS['argc'], $_SERVER['argv'], $_SERVER['argc']);
        foreach (self::$asked['server'] as $name => $value) {
            unset($_SERVER[$name], $_ENV[$name]);
            putenv($value === null ? $name : "$name=$value");
            if ($value !== null) {
                $_SERVER[$name] = $value;
            }
        }
        foreach (array('file', 'abspath') as $name) {
            self::$asked[$name] = base64_decode(self::$asked[$name]);
        }
        define('ABSPATH', self::$asked['abspath']);
        Wpbridge_Config_Files::register();
        return self::$asked['file'];
    }

    /** Writes the values. The prefix is a variable, so it is passed from where WordPress is loaded. */
    public static function tell($prefix)
    {
        $values = array();
        foreach (self::$asked['names'] as $name) {
            if ($name === '$table_prefix' ? $prefix !== null : defined($name)) {
                $value = $name === '$table_prefix' ? $prefix : constant($name);
                $values[$name] = is_string($value) ? array(base64_encode($value)) : $value;
                if (!is_scalar($value)) {
                    $values[$name] = array();
                }
            }
        }
        self::answer(array(
            'values' => (object) $values,
            'files' => array_map('base64_encode', self::loaded()),
        ));
    }

    private static function loaded()
    {
        $files = array();
        foreach (array_slice(get_included_files(), 1) as $file) {
            if (!self::is_settings($file)) {
                $files[] = $file;
            }
        }
        return $files;
    }

    /** Writes why the file is not loaded, and ends the process. */
    public static function refuse($why, $file)
    {
        self::answer(array('refused' => $why, 'file' => base64_encode($file)));
    }

    /** PHP calls this at its end. Writes an answer if the configuration ended without one. */
    public static function ended()
    {
        if (!self::$told) {
            $error = error_get_last();
            $fatal = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
            if (!$error || !($error['type'] & $fatal)) {
                self::answer(array('refused' => 'ended', 'file' => ''));
            }
        }
    }

    /** Tells whether this file is ABSPATH's wp-settings.php. */
    public static function is_settings($file)
    {
        $folder = realpath(dirname($file));
        return basename($file) === 'wp-settings.php' && $folder === realpath(self::$asked['abspath']);
    }

    /** Tells whether others than root can change the file. It matters only if root runs it. */
    public static function is_foreign($file)
    {
        if (self::$asked['trusted'] || !file_exists($file)) {
            return false;
        }
        $place = $file;
        do {
            $status = @stat($place);
            $sticky = is_dir($place) && ($status['mode'] & 01000);
            if (!$status || $status['uid'] !== 0 || (($status['mode'] & 0022) && !$sticky)) {
                return true;
            }
            $place = dirname($place);
        } while ($place !== dirname($place));
        return false;
    }

    private static function answer($answer)
    {
        self::$told = true;
        $answer += array('version' => PHP_VERSION, 'ini' => (string) php_ini_loaded_file());
        fwrite(STDOUT, "\n" . self::$asked['mark'] . "\n" . json_encode($answer) . "\n");
        while (ob_get_level() && @ob_end_clean());
        exit(0);
    }
}

/** Opens files as PHP does, except those that must not be loaded: it replaces or refuses them. */
final class Wpbridge_Config_Files
{
    const FOR_INCLUDE = 128;

    public $context;
    private $handle;

    public static function register()
    {
        stream_wrapper_unregister('file');
        stream_wrapper_register('file', __CLASS__);
    }

    private static function native($function, $arguments)
    {
        stream_wrapper_restore('file');
        try {
            return call_user_func_array($function, $arguments);
        } finally {
            self::register();
        }
    }

    public function stream_open($path, $mode, $options, &$opened)
    {
        if ($options & self::FOR_INCLUDE) {
            $stub = self::native(array(__CLASS__, 'judge'), array(&$path));
            if ($stub !== null) {
                $this->handle = fopen('php://memory', 'w+');
                fwrite($this->handle, $stub);
                rewind($this->handle);
                return true;
            }
        }
        $arguments = array($path, $mode, (bool) ($options & STREAM_USE_PATH));
        if ($this->context) {
            $arguments[] = $this->context;
        }
        $quiet = !($options & STREAM_REPORT_ERRORS);
        $this->handle = $quiet ? @self::native('fopen', $arguments) : self::native('fopen', $arguments);
        return (bool) $this->handle;
    }

    /**
     * Returns the text to be run instead of this file, or null if the file itself is to be run.
     *
     * The path becomes the one that was judged, since a link could be changed in the meantime.
     */
    public static function judge(&$path)
    {
        $file = realpath($path) ?: $path;
        if (Wpbridge_Config::is_settings($path) || Wpbridge_Config::is_settings($file)) {
            return '<?php Wpbridge_Config::tell(isset($table_prefix) ? $table_prefix : null);';
        }
        $starts = in_array(basename($file), array('wp-settings.php', 'wp-load.php', 'wp-blog-header.php'), true);
        if ($starts && is_file(dirname($file) . '/wp-includes/version.php')) {
            Wpbridge_Config::refuse('wordpress', $file);
        }
        if (Wpbridge_Config::is_foreign($file)) {
            Wpbridge_Config::refuse('foreign', $file);
        }
        $path = $file;
        return null;
    }

    public function stream_read($count) { return fread($this->handle, $count); }
    public function stream_write($data) { return fwrite($this->handle, $data); }
    public function stream_eof() { return feof($this->handle); }
    public function stream_tell() { return ftell($this->handle); }
    public function stream_seek($offset, $whence) { return fseek($this->handle, $offset, $whence) === 0; }
    public function stream_flush() { return fflush($this->handle); }
    public function stream_close() { fclose($this->handle); }
    public function stream_stat() { return fstat($this->handle); }
    public function stream_lock($how) { return $how ? flock($this->handle, $how) : true; }
    public function stream_truncate($size) { return ftruncate($this->handle, $size); }
    public function stream_cast($as) { return $this->handle; }
    public function stream_set_option($option, $first, $second)
    {
        if ($option === STREAM_OPTION_BLOCKING) {
            return stream_set_blocking($this->handle, $first);
        }
        return false;
    }

    public function stream_metadata($path, $option, $value)
    {
        $functions = array(
            STREAM_META_TOUCH => 'touch', STREAM_META_OWNER_NAME => 'chown', STREAM_META_OWNER => 'chown',
            STREAM_META_GROUP_NAME => 'chgrp', STREAM_META_GROUP => 'chgrp', STREAM_META_ACCESS => 'chmod',
        );
        return self::native($functions[$option], array_merge(array($path), (array) $value));
    }

    public function url_stat($path, $flags)
    {
        $function = $flags & STREAM_URL_STAT_LINK ? 'lstat' : 'stat';
        $quiet = $flags & STREAM_URL_STAT_QUIET;
        return $quiet ? @self::native($function, array($path)) : self::native($function, array($path));
    }

    public function dir_opendir($path, $options)
    {
        $this->handle = self::native('opendir', array($path));
        return (bool) $this->handle;
    }

    public function dir_readdir() { return readdir($this->handle); }
    public function dir_closedir() { closedir($this->handle); return true; }
    public function dir_rewinddir() { rewinddir($this->handle); return true; }
    public function unlink($path) { return self::native('unlink', array($path)); }
    public function rename($from, $to) { return self::native('rename', array($from, $to)); }
    public function mkdir($path, $mode, $options)
    {
        return self::native('mkdir', array($path, $mode, (bool) ($options & STREAM_MKDIR_RECURSIVE)));
    }
    public function rmdir($path, $options) { return self::native('rmdir', array($path)); }
}

error_reporting(E_CORE_ERROR | E_CORE_WARNING | E_COMPILE_ERROR | E_ERROR | E_WARNING | E_PARSE | E_USER_ERROR | E_USER_WARNING | E_RECOVERABLE_ERROR);
require Wpbridge_Config::begin();
Wpbridge_Config::tell(isset($table_prefix) ? $table_prefix : null);
